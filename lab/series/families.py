"""Model shapes out of `config.json`, for the families of dense decoders whose layout is known here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.errors import UsageError
from lab.series.shapes import ATTENTION, MLP, ModelShape
from lab.text import sanitize


@dataclass(frozen=True)
class Family:
    """What a `model_type` fixes without saying it in `config.json`; `defaults` stand in for keys that are left out."""

    tied: bool = False
    hidden_norms: int = 2
    head_norms: int = 0
    biased: tuple[str, ...] = ()
    fused: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)


# Defaults as the configuration classes of transformers have them: nested configurations are saved without them.
FAMILIES = {
    "llama": Family(),
    "mistral": Family(defaults={"num_key_value_heads": 8, "sliding_window": 4096}),
    "qwen2": Family(biased=ATTENTION[:3], defaults={"use_sliding_window": False, "max_window_layers": 28}),
    "qwen3": Family(head_norms=2, defaults={"head_dim": 128, "use_sliding_window": False, "max_window_layers": 28}),
    "phi3": Family(fused=True, defaults={"sliding_window": None}),
    "smollm3": Family(tied=True, defaults={"num_key_value_heads": 4, "use_sliding_window": False}),
    "gemma2": Family(
        tied=True,
        hidden_norms=4,
        defaults={"head_dim": 256, "num_key_value_heads": 4, "sliding_window": 4096, "sliding_window_pattern": 2},
    ),
    "gemma3_text": Family(
        tied=True,
        hidden_norms=4,
        head_norms=2,
        defaults={
            "hidden_size": 2304,
            "intermediate_size": 9216,
            "num_hidden_layers": 26,
            "num_attention_heads": 8,
            "num_key_value_heads": 4,
            "head_dim": 256,
            "vocab_size": 262208,
            "sliding_window": 4096,
            "sliding_window_pattern": 6,
        },
    ),
}


def shape_from_config(config: Mapping[str, Any]) -> ModelShape:
    """Return the shape of the text model that `config` (the content of a `config.json`) describes.

    Raises:
        UsageError: the family is not known here, or a size is missing or no positive whole number.
    """
    text, kind = _text_part(config)
    family = FAMILIES.get(kind)
    if family is None:
        raise UsageError(
            f"The size of a '{sanitize(kind, newlines=False, limit=60)}' model cannot be told from its config.json.",
            f"Memory and FLOPs are estimated for {', '.join(FAMILIES)}; training itself is not limited to these.",
        )
    values = {**family.defaults, **text}
    hidden, heads, layers = (_size(values, key) for key in ("hidden_size", "num_attention_heads", "num_hidden_layers"))
    return ModelShape(
        hidden=hidden,
        intermediate=_size(values, "intermediate_size"),
        layers=layers,
        heads=heads,
        kv_heads=_size(values, "num_key_value_heads", heads),
        head_dim=_size(values, "head_dim", hidden // heads),
        vocab=_size(values, "vocab_size"),
        tied=bool(values.get("tie_word_embeddings", config.get("tie_word_embeddings", family.tied))),
        hidden_norms=family.hidden_norms,
        head_norms=family.head_norms,
        biased=_biased(values, family),
        fused=family.fused,
        window=int(values.get("sliding_window") or 0) if (slides := _windowed_layers(values, layers)) else 0,
        windowed_layers=slides,
    )


def _text_part(config: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """Return the text model's own configuration and its type, out of a multimodal one where it is one."""
    inner = config.get("text_config")
    text = inner if isinstance(inner, Mapping) else config
    kind = str(text.get("model_type") or config.get("model_type") or "")
    return text, "gemma3_text" if kind == "gemma3" else kind


def _size(values: Mapping[str, Any], key: str, default: int | None = None) -> int:
    value = values.get(key)
    if value is None and default is not None:
        return default
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    problem = "is missing" if value is None else "is no positive whole number"
    raise UsageError(f"'{key}' {problem} in the model's config.json.", "Check that model.name points at a whole model.")


def _biased(values: Mapping[str, Any], family: Family) -> tuple[str, ...]:
    attention = ATTENTION if values.get("attention_bias") else family.biased
    return attention + (MLP if values.get("mlp_bias") else ())


def _windowed_layers(values: Mapping[str, Any], layers: int) -> int:
    """Count the layers with sliding attention: as listed, or all but every n-th, or those from some layer on."""
    if not values.get("sliding_window") or values.get("use_sliding_window") is False:
        return 0
    if isinstance(kinds := values.get("layer_types"), list):
        return kinds.count("sliding_attention")
    if every := values.get("sliding_window_pattern"):
        return layers - layers // int(every)
    return max(0, layers - int(values.get("max_window_layers") or 0))

"""Models whose sizes are known by name: for estimates without a download, and for benchmarks on random weights.

Called by `lab plan` where the hub cannot be reached, and by the benchmarks. The values are those of each model's
`config.json`; tests hold the parameter counts against the published ones.
"""

from __future__ import annotations

from typing import Any


def _sizes(
    kind: str, hidden: int, intermediate: int, layers: int, heads: int, kv: int, head: int, vocab: int, tied: bool
) -> dict[str, Any]:
    return {
        "model_type": kind,
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv,
        "head_dim": head,
        "vocab_size": vocab,
        "tie_word_embeddings": tied,
    }


LLAMA_1B = _sizes("llama", 2048, 8192, 16, 32, 8, 64, 128256, True)
LLAMA_3B = _sizes("llama", 3072, 8192, 28, 24, 8, 128, 128256, True)

KNOWN: dict[str, dict[str, Any]] = {
    "smollm2-135m": _sizes("llama", 576, 1536, 30, 9, 3, 64, 49152, True),
    "llama-3.2-1b": LLAMA_1B,
    "llama-3.2-3b": LLAMA_3B,
    "meta-llama-3-8b": _sizes("llama", 4096, 14336, 32, 32, 8, 128, 128256, False),
    "gemma-3-1b": {**_sizes("gemma3_text", 1152, 6912, 26, 4, 1, 256, 262144, True), "sliding_window": 512},
    "gemma-2-2b": _sizes("gemma2", 2304, 9216, 26, 8, 4, 256, 256000, True),
    "mistral-7b": {**_sizes("mistral", 4096, 14336, 32, 32, 8, 128, 32768, False), "sliding_window": None},
    "qwen2.5-3b": _sizes("qwen2", 2048, 11008, 36, 16, 2, 128, 151936, True),
    "qwen2.5-7b": _sizes("qwen2", 3584, 18944, 28, 28, 4, 128, 152064, False),
    "phi-3-mini": _sizes("phi3", 3072, 8192, 32, 32, 32, 96, 32064, False),
}
"""The text model's part of config.json by the beginning of the model's name, in small letters and without its owner."""

_ALIASES = {"llama-3-8b": "meta-llama-3-8b", "llama-3.1-8b": "meta-llama-3-8b"}


def known_config(name: str) -> dict[str, Any] | None:
    """Return the sizes of the model called `name` (a hub id, "bundled:..." or a bare name); None if not known here."""
    bare = name.lower().removeprefix("bundled:").rpartition("/")[2]
    for begin, key in [*((key, key) for key in KNOWN), *_ALIASES.items()]:
        rest = bare.removeprefix(begin)
        if rest != bare and (not rest or rest[0] in "-_"):
            return KNOWN[key]
    return None

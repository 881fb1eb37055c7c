"""What GGUF says of a model: its facts by architecture, the names of its tensors, how their numbers lie.

Called by `ggufwrite` and `ggufadapter`. The reference is llama.cpp's loaders (src/llama-model.cpp);
the `gguf` package gives the names.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

ROPE_FACTORS = "rope_freqs.weight"
GEMMA_PATTERN = 6
"""Of Gemma 3's blocks every sixth sees all tokens; llama.cpp takes that for granted."""


@dataclass(frozen=True)
class Architecture:
    """One family of models.

    Attributes:
        name: GGUF's.
        interleaved: rotary pairs stand beside each other, so query and key rows change places.
        shifted: norms are stored without the 1 that is added to them.
    """

    name: str
    interleaved: bool = False
    shifted: bool = False


ARCHITECTURES = {
    "llama": Architecture("llama", interleaved=True),
    "mistral": Architecture("llama", interleaved=True),
    "qwen2": Architecture("qwen2"),
    "gemma3_text": Architecture("gemma3", shifted=True),
}


class Mapping:
    """A model's way into GGUF.

    Args:
        config: as transformers loads it.

    Raises:
        UsageError: an architecture, or a part of it, that cannot be written.
    """

    def __init__(self, config: Any) -> None:
        from gguf import MODEL_ARCH, MODEL_ARCH_NAMES, get_tensor_name_map

        self.config = config
        self.architecture = ARCHITECTURES.get(config.model_type) or _refuse(f"model type '{config.model_type}'")
        arch = next(key for key, name in MODEL_ARCH_NAMES.items() if name == self.architecture.name)
        assert isinstance(arch, MODEL_ARCH)
        self._names = get_tensor_name_map(arch, config.num_hidden_layers)
        _check(config)

    @property
    def head_dim(self) -> int:
        config = self.config
        return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)

    def name(self, hub: str) -> str:
        """Return GGUF's name of the tensor `hub`. Raises UsageError where it has none."""
        found = self._names.get_name(hub, try_suffixes=(".weight", ".bias"))
        if found is None:
            _refuse(f"tensor {hub}")
        return str(found)

    def arrange(self, hub: str, tensor: Tensor) -> Tensor:
        """Return the numbers as GGUF holds them."""
        if self.architecture.shifted and hub.endswith("norm.weight"):
            return tensor.float() + 1
        heads = self.heads(hub)
        return interleave(tensor, heads) if heads else tensor

    def heads(self, hub: str) -> int:
        """Return the number of heads whose rows change places in `hub`; 0 where none do."""
        if not self.architecture.interleaved:
            return 0
        part = hub.rpartition(".")[0].rpartition(".")[2]
        counts = {"q_proj": self.config.num_attention_heads, "k_proj": self.config.num_key_value_heads}
        return int(counts.get(part, 0))

    def rope_factors(self) -> list[float] | None:
        """Return by how much each rotary frequency is slowed down; None where none is.

        Llama 3.1's rule: long waves by `factor`, short ones not, those between smoothly (Meta's `apply_scaling`,
        github.com/meta-llama/llama-models).
        """
        rope = self.config.rope_parameters
        if rope.get("rope_type") != "llama3":
            return None
        low, high = rope["low_freq_factor"], rope["high_freq_factor"]
        context, factor = rope["original_max_position_embeddings"], rope["factor"]
        factors = []
        for pair in range(self.head_dim // 2):
            waves = context * rope["rope_theta"] ** (-2 * pair / self.head_dim) / (2 * math.pi)
            smooth = min(max((waves - low) / (high - low), 0.0), 1.0)
            factors.append(1 / ((1 - smooth) / factor + smooth))
        return factors

    def write_facts(self, writer: Any) -> None:
        """Add the architecture's keys to a `GGUFWriter`."""
        config = self.config
        writer.add_block_count(config.num_hidden_layers)
        writer.add_context_length(config.max_position_embeddings)
        writer.add_embedding_length(config.hidden_size)
        writer.add_feed_forward_length(config.intermediate_size)
        writer.add_head_count(config.num_attention_heads)
        writer.add_head_count_kv(config.num_key_value_heads)
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
        writer.add_key_length(self.head_dim)
        writer.add_value_length(self.head_dim)
        _FACTS[self.architecture.name](self, writer)


def interleave(tensor: Tensor, heads: int) -> Tensor:
    """Return rows (heads * head_dim, ...) in llama.cpp's order of rotary pairs: a head's halves, alternately."""
    half = tensor.shape[0] // heads // 2
    return tensor.view(heads, 2, half, *tensor.shape[1:]).transpose(1, 2).reshape(tensor.shape)


def _llama(mapping: Mapping, writer: Any) -> None:
    writer.add_vocab_size(mapping.config.vocab_size)
    writer.add_rope_dimension_count(mapping.head_dim)
    _rope(mapping.config.rope_parameters, writer)


def _qwen(mapping: Mapping, writer: Any) -> None:
    _rope(mapping.config.rope_parameters, writer)


def _gemma(mapping: Mapping, writer: Any) -> None:
    config = mapping.config
    _rope(config.rope_parameters["full_attention"], writer)
    writer.add_sliding_window(config.sliding_window)


def _rope(rope: dict[str, Any], writer: Any) -> None:
    from gguf import RopeScalingType

    writer.add_rope_freq_base(rope["rope_theta"])
    if rope.get("rope_type") == "linear":
        writer.add_rope_scaling_type(RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])


_FACTS: dict[str, Callable[[Mapping, Any], None]] = {"llama": _llama, "qwen2": _qwen, "gemma3": _gemma}


def _check(config: Any) -> None:
    """Refuse what would be written and then computed otherwise by llama.cpp."""
    rope = config.rope_parameters
    kinds = [part.get("rope_type", "default") for part in (rope.values() if "full_attention" in rope else [rope])]
    if unknown := [kind for kind in kinds if kind not in ("default", "linear", "llama3")]:
        _refuse(f"rotary scaling '{unknown[0]}'")
    activation = str(getattr(config, "hidden_act", None) or getattr(config, "hidden_activation", ""))
    if activation not in ("silu", "gelu_pytorch_tanh"):
        _refuse(f"activation '{activation}'")
    if config.model_type == "gemma3_text":
        layers = [kind == "full_attention" for kind in config.layer_types]
        if layers != [(number + 1) % GEMMA_PATTERN == 0 for number in range(len(layers))]:
            _refuse("pattern of sliding and full attention")
    elif config.model_type == "qwen2" and getattr(config, "use_sliding_window", False):
        _refuse("sliding attention of Qwen2")


def _refuse(what: str) -> Any:
    raise UsageError(
        f"The lab cannot write a GGUF file with the {what}.",
        f"It writes the types {', '.join(ARCHITECTURES)}: use `lab export merge` and another converter.",
    )

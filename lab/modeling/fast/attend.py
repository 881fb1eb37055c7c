"""Attention over heads that stand side by side, as fused projections leave them. Called by `modeling.fast.install`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from torch import Tensor

from lab.modeling.fast.flash import flash
from lab.modeling.fast.lora import Rotation
from lab.modeling.fast.varlen import NAME as VARLEN

Attend = Callable[[Tensor, Tensor | None, dict[str, Any]], tuple[Tensor, Tensor | None]]


def joined_attention(module: Any, sizes: list[int]) -> Attend:
    """Return a family's attention from queries, keys and values side by side to what its last projection reads.

    Args:
        module: the family's own attention module.
        sizes: features of queries, keys and values.
    """
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    eager = vars(sys.modules[type(module).__module__])["eager_attention_forward"]
    windowed = _window_options(module)

    def attend(joined: Tensor, mask: Tensor | None, kwargs: dict[str, Any]) -> tuple[Tensor, Tensor | None]:
        shape = joined.shape[:-1]
        heads = joined.split(sizes, dim=-1)
        query, key, value = (part.view(*shape, -1, module.head_dim).transpose(1, 2) for part in heads)
        if joined.is_cuda and module.config._attn_implementation == VARLEN:
            return _flash(module, query, key, value, kwargs, windowed).reshape(*shape, -1), None
        function = ALL_ATTENTION_FUNCTIONS.get_interface(module.config._attn_implementation, eager)
        dropout = module.attention_dropout if module.training else 0.0
        options = {"dropout": dropout, "scaling": module.scaling, **windowed, **kwargs}
        attended, weights = function(module, query, key, value, mask, **options)
        return attended.reshape(*shape, -1).contiguous(), weights

    return attend


def _flash(
    module: Any, query: Tensor, key: Tensor, value: Tensor, ends: dict[str, Any], windowed: dict[str, Any]
) -> Tensor:
    """Attend inside the documents of a packed batch; heads come as (1, heads, tokens, width)."""
    q, k, v = (part[0].transpose(0, 1) for part in (query, key, value))
    window = windowed.get("sliding_window")
    return flash(q, k, v, ends["cu_seq_lens_q"], ends["max_length_q"], module.scaling, window)


def rotation_of(cos: Tensor, sin: Tensor, shape: Any, heads: int) -> Rotation:
    """Return the rotation of each token of a batch of `shape`; positions may be the same for all its rows."""
    cos, sin = (side.expand(*shape, -1).reshape(-1, side.shape[-1]) for side in (cos, sin))
    return Rotation(cos, sin, heads)


def _window_options(module: Any) -> dict[str, Any]:
    """Return what the families hand to attention about its window (Llama hands nothing)."""
    kind = type(module).__name__
    if kind == "MistralAttention":
        return {"sliding_window": getattr(module.config, "sliding_window", None)}
    return {"sliding_window": module.sliding_window} if kind == "Qwen2Attention" else {}

"""Attention over heads that stand side by side, as fused projections leave them. Called by `modeling.fast.install`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from torch import Tensor

from lab.modeling.fast.documents import attend_documents, sees_all
from lab.modeling.fast.flash import flash
from lab.modeling.fast.lora import Rotation
from lab.modeling.fast.varlen import NAME as VARLEN

Attend = Callable[[Tensor, Tensor, Tensor, Tensor | None, dict[str, Any]], tuple[Tensor, Tensor | None]]
"""From queries, keys and values (batch, tokens, heads, width), a mask and keyword arguments, to what the last
projection reads (batch, tokens, features), and attention's weights where a family returns them."""


def family_attention(module: Any) -> Attend:
    """Return what attends in the family's own attention `module`, on a GPU over documents where rows are packed."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    eager = vars(sys.modules[type(module).__module__])["eager_attention_forward"]
    windowed = _window_options(module)

    def attend(
        query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, kwargs: dict[str, Any]
    ) -> tuple[Tensor, Tensor | None]:
        shape = query.shape[:2]
        if query.is_cuda and module.config._attn_implementation == VARLEN:
            window, ends = windowed.get("sliding_window"), kwargs["cu_seq_lens_q"]
            spans, longest = kwargs.get("document_spans"), kwargs["max_length_q"]
            # Not `[0]`: the gradient of a selection is zeros with a copy in them, even where it selects all.
            q, k, v = (part.flatten(0, 1) for part in (query, key, value))
            if spans is not None and sees_all(window, longest):
                made = attend_documents(q, k, v, spans, module.scaling)
            else:
                made = flash(q, k, v, ends, longest, module.scaling, window)
            return made.reshape(*shape, -1), None
        function = ALL_ATTENTION_FUNCTIONS.get_interface(module.config._attn_implementation, eager)
        dropout = module.attention_dropout if module.training else 0.0
        options = {"dropout": dropout, "scaling": module.scaling, **windowed, **kwargs}
        heads = (part.transpose(1, 2) for part in (query, key, value))
        attended, weights = function(module, *heads, mask, **options)
        return attended.reshape(*shape, -1).contiguous(), weights

    return attend


def rotation_of(cos: Tensor, sin: Tensor, shape: Any) -> Rotation:
    """Return the rotation of each token of a batch of `shape`; positions may be the same for all its rows."""
    cos, sin = (side.expand(*shape, -1).reshape(-1, side.shape[-1]) for side in (cos, sin))
    return Rotation(cos, sin)


def _window_options(module: Any) -> dict[str, Any]:
    """Return what the families hand to attention about its window (Llama hands nothing)."""
    kind = type(module).__name__
    if kind == "MistralAttention":
        return {"sliding_window": getattr(module.config, "sliding_window", None)}
    return {"sliding_window": module.sliding_window} if kind == "Qwen2Attention" else {}

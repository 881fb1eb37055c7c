"""Attention inside short documents by a kernel of the lab's own. Called by `attend`, `varlen`, `step` and `choose`.

FlashAttention works in tiles of 128 tokens, each of one document, adds the queries' gradients up in fp32 memory of
their own and makes the gradients of keys once for each query head. With rows of a hundred tokens that costs more than
the products. Here a tile holds tokens of whatever documents stand there, and the heads that share a key are its rows.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lab.modeling.fast.kernels import power_of_two

WIDEST, NARROWEST = 128, 16
"""Widths of heads that the kernels' tiles are made for."""


class _Documents(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, spans: Tensor, scale: float) -> Tensor:
        from lab.modeling.fast import attention_kernels

        query, key, value = query.contiguous(), key.contiguous(), value.contiguous()
        out, normaliser = attention_kernels.attend_forward(query, key, value, spans[0], scale)
        ctx.save_for_backward(query, key, value, out, normaliser, spans)
        ctx.scale = scale
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        from lab.modeling.fast import attention_kernels

        query, key, value, out, normaliser, spans = ctx.saved_tensors
        pulled = gradients[0].contiguous()
        found = attention_kernels.attend_backward(query, key, value, out, normaliser, pulled, spans, ctx.scale)
        return *found, None, None


def attend_documents(query: Tensor, key: Tensor, value: Tensor, spans: Tensor, scale: float) -> Tensor:
    """Return causal attention inside each document, (tokens, heads, width), the same bits each time.

    Args:
        query: (tokens, heads, width); key and value: (tokens, a divisor of the heads, width); bf16 or fp32.
        spans: of `document_spans`.
    """
    attended: Tensor = _Documents.apply(query, key, value, spans, scale)
    return attended


def sees_all(window: int | None, longest: int) -> bool:
    """Tell whether a sliding `window` of tokens hides nothing in documents of at most `longest` tokens."""
    return window is None or longest <= window


def document_spans(ends: Tensor, tokens: int) -> Tensor:
    """Return where each token's document begins and ends: (2, tokens) int32.

    Args:
        ends: (documents + 1,) int32, from 0 to `tokens`; empty documents are allowed.
    """
    at = torch.arange(tokens, dtype=ends.dtype, device=ends.device)
    document = torch.searchsorted(ends, at, right=True)
    return torch.stack((ends[document - 1], ends[document]))


def heads_obstacle(config: Any) -> str:
    """Return why the kernels do not serve a model of this configuration; "" where they do."""
    text = config.get_text_config()
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    if not NARROWEST <= width <= WIDEST or not power_of_two(width):
        return f"not made for heads {width} wide"
    group = text.num_attention_heads // text.num_key_value_heads
    # A group is filled up to a power of two: of three heads a fourth of the work would be for nothing.
    return "" if power_of_two(group) else f"not made for groups of {group} heads"

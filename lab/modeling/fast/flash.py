"""FlashAttention over documents by PyTorch's own operations, with fewer key heads than query heads.

`torch.nn.attention.varlen` of torch 2.10 and 2.11 wants as many key heads as query heads; the kernel beneath it does
not. Repeating keys and values would cost as much memory as the queries take. Called by `modeling.fast.attend`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _Flash(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, ends: Tensor, longest: int, scale: float, window: int
    ) -> Tensor:
        options = {"scale": scale, "window_size_left": window, "window_size_right": 0}
        causal = window < 0
        made = torch.ops.aten._flash_attention_forward(
            query, key, value, ends, ends, longest, longest, 0.0, causal, False, **options
        )
        out, normaliser, state, unused = made[:4]
        ctx.save_for_backward(query, key, value, out, normaliser, state, unused, ends)
        ctx.longest, ctx.causal, ctx.options = longest, causal, options
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        query, key, value, out, normaliser, state, unused, ends = ctx.saved_tensors
        dq, dk, dv = torch.ops.aten._flash_attention_backward(
            gradients[0].contiguous(),
            query,
            key,
            value,
            out,
            normaliser,
            ends,
            ends,
            ctx.longest,
            ctx.longest,
            0.0,
            ctx.causal,
            state,
            unused,
            **ctx.options,
        )
        return dq, dk, dv, None, None, None, None


def flash(
    query: Tensor, key: Tensor, value: Tensor, ends: Tensor, longest: int, scale: float, window: int | None
) -> Tensor:
    """Return causal attention inside each document, (tokens, heads, width). A GPU of compute capability 8.0 or newer.

    Args:
        query: (tokens, heads, width); key and value: (tokens, a divisor of the heads, width).
        ends: (documents + 1,) int32, where documents begin and end; empty ones are allowed.
        longest: at least the length of the longest document.
        window: tokens that each one sees, itself included; None for all before it.
    """
    attended: Tensor = _Flash.apply(query, key, value, ends, longest, scale, window - 1 if window else -1)
    return attended

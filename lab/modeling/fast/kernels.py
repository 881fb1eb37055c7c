"""The elementwise work of a decoder, each piece with its gradient: norms, rotation, gated products, softmax.

Called by the other modules here. On a GPU with Triton each is one kernel; elsewhere PyTorch
computes the same. Weights of norms are frozen: they get no gradient.
"""

from __future__ import annotations

import os
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

IGNORED = -100
WIDEST_RANK = 128
"""Adapters up to this rank are added inside the kernel of the gated product."""


only_torch = False
"""Set by whoever wants to compare."""


@lru_cache(maxsize=1)
def triton_installed() -> bool:
    return find_spec("triton") is not None


def by_triton(tensor: Tensor) -> bool:
    """Tell whether Triton serves `tensor`: on a GPU, or anywhere under Triton's interpreter."""
    return not only_torch and triton_installed() and (tensor.is_cuda or os.environ.get("TRITON_INTERPRET") == "1")


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float, one_more: bool) -> Tensor:
        from lab.modeling.fast import tritons

        rows = x.contiguous().view(-1, x.shape[-1])
        y, scale = tritons.norm_forward(rows, weight, eps, one_more)
        ctx.save_for_backward(rows, weight, scale)
        ctx.one_more = one_more
        return y.view(x.shape)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        from lab.modeling.fast import tritons

        rows, weight, scale = ctx.saved_tensors
        dy = gradients[0].contiguous()
        dx = tritons.norm_backward(rows, weight, scale, dy.view(rows.shape), ctx.one_more)
        return dx.view(dy.shape), None, None, None


def rms_norm(x: Tensor, weight: Tensor, eps: float, *, one_more: bool) -> Tensor:
    """Return `x` (..., width) by its root mean square, times the frozen `weight`.

    Args:
        one_more: the gain is `1 + weight` and nothing is rounded before it (Gemma); else Llama's way.
    """
    if by_triton(x):
        return _Norm.apply(x, weight, eps, one_more)
    values = x.float()
    values = values * torch.rsqrt(values.pow(2).mean(-1, keepdim=True) + eps)
    return (values * (1.0 + weight.float())).to(x.dtype) if one_more else weight * values.to(x.dtype)


def norm_rows(rows: Tensor, weight: Tensor, eps: float, *, one_more: bool) -> tuple[Tensor, Tensor]:
    """Return the normed `rows` (tokens, width) and each row's factor, fp32; outside of autograd.

    Args:
        one_more: as in `rms_norm`.
    """
    if by_triton(rows):
        from lab.modeling.fast import tritons

        return tritons.norm_forward(rows.contiguous(), weight, eps, one_more)
    scale = torch.rsqrt(rows.float().pow(2).mean(-1) + eps)
    values = rows.float() * scale[:, None]
    return ((values * (1.0 + weight.float())).to(rows.dtype) if one_more else weight * values.to(rows.dtype)), scale


def norm_rows_backward(
    rows: Tensor, weight: Tensor, scale: Tensor, dy: Tensor, *, one_more: bool, plus: Tensor
) -> Tensor:
    """Return the gradient of `rows` that `norm_rows` normed, with `plus` (tokens, width) added in fp32.

    Args:
        scale: the factors that `norm_rows` returned.
    """
    if by_triton(rows):
        from lab.modeling.fast import tritons

        return tritons.norm_backward(rows, weight, scale, dy, one_more, plus.contiguous())
    normed = rows.float() * scale[:, None]
    pulled = dy.float() * (1.0 + weight.float() if one_more else weight.float())
    own = (pulled - normed * (pulled * normed).mean(-1, keepdim=True)) * scale[:, None]
    return (own + plus.float()).to(rows.dtype)


def rotate_(y: Tensor, cos: Tensor, sin: Tensor, heads: int, *, back: bool = False) -> None:
    """Turn the first `heads` heads of each token by its position, in place; `back` turns gradients.

    Args:
        y: (tokens, features), the heads first.
        cos, sin: (tokens, head width), each half of the width alike.
    """
    width = cos.shape[-1]
    half = width // 2
    if by_triton(y) and power_of_two(half):
        from lab.modeling.fast import rotations

        rotations.rotate_(y, cos.contiguous(), sin.contiguous(), heads, back=back)
        return
    turned = y[:, : heads * width].view(len(y), heads, width)
    cos, sin = cos[:, None], sin[:, None]
    swapped = turned * sin if back else turned
    swapped = torch.cat((-swapped[..., half:], swapped[..., :half]), dim=-1)
    turned.copy_(turned * cos - swapped if back else turned * cos + swapped * sin)


def rotate_apart(y: Tensor, cos: Tensor, sin: Tensor, counts: tuple[int, int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Return queries and keys, turned by position, and values, each (tokens, heads, width) in memory of its own.

    Attention wants them so: out of a common matrix it would copy each of them, forward and backward.

    Args:
        y: (tokens, features), queries, keys and values side by side; used up.
        cos, sin: as in `rotate_`.
        counts: heads of queries, keys and values.
    """
    width = cos.shape[-1]
    if by_triton(y) and power_of_two(width // 2):
        from lab.modeling.fast import rotations

        return rotations.rotate_apart(y, cos.contiguous(), sin.contiguous(), counts)
    rotate_(y, cos, sin, counts[0] + counts[1])
    query, key, value = (part.contiguous() for part in y.view(len(y), -1, width).split(counts, dim=1))
    return query, key, value


def rotate_together(query: Tensor, key: Tensor, value: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Return the gradient of what `rotate_apart` took apart, (tokens, features), from those of its parts."""
    if by_triton(query) and power_of_two(cos.shape[-1] // 2):
        from lab.modeling.fast import rotations

        parts = (query.contiguous(), key.contiguous(), value.contiguous())
        return rotations.rotate_together(*parts, cos.contiguous(), sin.contiguous())
    y = torch.cat((query, key, value), dim=1).flatten(1)
    rotate_(y, cos, sin, query.shape[1] + key.shape[1], back=True)
    return y


def power_of_two(count: int) -> bool:
    """Tell whether a positive number is one."""
    return count & (count - 1) == 0


def gated(both: Tensor, low: Tensor, up: Tensor, *, gelu: bool) -> Tensor:
    """Return activation(gate) x other, (tokens, width).

    Args:
        both: (tokens, 2 width), the base's gate and other projection side by side, without their adapters' part.
        low, up: (tokens, 2 rank) and (2 width, 2 rank): `low @ up.T` is the adapters' part.
        gelu: the activation is GELU by tanh; else SiLU.
    """
    if _gated_by_triton(both, low):
        from lab.modeling.fast import tritons

        return tritons.gated_forward(both, low, up, gelu=gelu)
    gate, other = torch.addmm(both, low, up.t()).chunk(2, dim=-1)
    return _activate(gate, gelu).mul_(other)


def gated_backward_(both: Tensor, low: Tensor, up: Tensor, gradient: Tensor, *, gelu: bool) -> None:
    """Put the gradient of both projections in place of `both`, and the product itself in place of its `gradient`."""
    if _gated_by_triton(both, low):
        from lab.modeling.fast import tritons

        tritons.gated_backward_(both, low, up, gradient, gelu=gelu)
        return
    gate, other = torch.addmm(both, low, up.t()).float().chunk(2, dim=-1)
    pulled = gradient.float()
    with torch.enable_grad():
        leaf = gate.detach().requires_grad_()
        active = _activate(leaf, gelu)
        (slope,) = torch.autograd.grad(active, leaf, pulled * other)
    both.copy_(torch.cat((slope, pulled * active.detach()), dim=-1))
    gradient.copy_(active.detach() * other)


def _gated_by_triton(both: Tensor, low: Tensor) -> bool:
    return by_triton(both) and low.shape[1] // 2 <= WIDEST_RANK


def _activate(gate: Tensor, gelu: bool) -> Tensor:
    return functional.gelu(gate, approximate="tanh") if gelu else functional.silu(gate)


def softmax_gradient_(
    logits: Tensor, targets: Tensor, scale: Tensor, multiplier: float = 1.0, cap: float = 0.0
) -> Tensor:
    """Put the gradient of the summed loss in place of `logits`; return each row's loss, fp32.

    Args:
        logits: (rows, vocabulary), straight from the head.
        targets: (rows,), IGNORED where nothing is learnt.
        scale: of loss and gradient, one fp32 number.
        multiplier, cap: the scores are `cap tanh(multiplier logits / cap)`; a cap of 0 is none.
    """
    if by_triton(logits):
        from lab.modeling.fast import tritons

        return tritons.softmax_gradient_(logits, targets, scale, IGNORED, multiplier, cap)
    learnt = (targets != IGNORED) * scale
    chosen = targets.clamp_min(0)[:, None]
    scores = logits.float() * multiplier
    if cap:
        scores = torch.tanh(scores / cap) * cap
    normaliser = scores.logsumexp(-1, keepdim=True)
    nll = (normaliser - scores.gather(1, chosen))[:, 0] * learnt
    gradient = torch.exp(scores - normaliser)
    gradient.scatter_add_(1, chosen, torch.full_like(normaliser, -1.0))
    if cap:
        gradient *= 1 - (scores / cap) ** 2
    logits.copy_(gradient.mul_(learnt[:, None]).mul_(multiplier))
    return nll

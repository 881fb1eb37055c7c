"""The kernels of norms, gated products and softmax, in Triton; `modeling.fast.rotations` has those of positions.

Called by `modeling.fast.kernels` alone, which holds what PyTorch does instead.

Arithmetic is fp32 inside; what is stored is rounded once. A kernel's arguments are pointers and numbers; those marked
`tl.constexpr` are compiled in.
"""
# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch
from torch import Tensor

triton: Any = import_module("triton")  # comes with torch for CUDA and is not there otherwise
tl: Any = import_module("triton.language")

VOCABULARY_BLOCK = 4096
GATED_TOKENS, GATED_WIDTH = 16, 128
"""Of eleven tilings on an H100 the fastest with 16,384 tokens, and within 2 us of the fastest with 1,536."""
NARROWEST_DOT = 16  # tl.dot multiplies no smaller blocks


@triton.jit
def _norm_forward(x, weight, y, scale, width, eps, one_more: tl.constexpr, block: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, block)
    inside = at < width
    values = tl.load(x + row * width + at, mask=inside, other=0.0).to(tl.float32)
    factor = 1.0 / tl.sqrt(tl.sum(values * values, 0) / width + eps)
    tl.store(scale + row, factor)
    gain = tl.load(weight + at, mask=inside, other=0.0).to(tl.float32)
    if one_more:
        out = values * factor * (1.0 + gain)
    else:
        out = (values * factor).to(y.dtype.element_ty).to(tl.float32) * gain
    tl.store(y + row * width + at, out.to(y.dtype.element_ty), mask=inside)


@triton.jit
def _norm_backward(
    x, weight, scale, dy, plus, dx, width, one_more: tl.constexpr, added: tl.constexpr, block: tl.constexpr
):
    row = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, block)
    inside = at < width
    factor = tl.load(scale + row)
    normed = tl.load(x + row * width + at, mask=inside, other=0.0).to(tl.float32) * factor
    gain = tl.load(weight + at, mask=inside, other=0.0).to(tl.float32)
    if one_more:
        gain += 1.0
    pulled = tl.load(dy + row * width + at, mask=inside, other=0.0).to(tl.float32) * gain
    out = factor * (pulled - normed * (tl.sum(pulled * normed, 0) / width))
    if added:
        out += tl.load(plus + row * width + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(dx + row * width + at, out.to(dx.dtype.element_ty), mask=inside)


@triton.jit
def _tile(both, low, up, width, rank, token, column, inside, padded_rank: tl.constexpr, second: tl.constexpr):
    """Return one tile of the gate (second = 0) or of the other projection (1), its adapter's part added."""
    at = tl.arange(0, padded_rank)
    base = tl.load(both + token[:, None] * (2 * width) + second * width + column[None, :], mask=inside, other=0.0)
    kept = at < rank
    narrow = tl.load(low + token[:, None] * (2 * rank) + second * rank + at[None, :], mask=kept[None, :], other=0.0)
    wide = tl.load(
        up + (second * width + column[None, :]) * (2 * rank) + second * rank + at[:, None],
        mask=kept[:, None] & (column < width)[None, :],
        other=0.0,
    )
    return base.to(tl.float32) + tl.dot(narrow, wide, input_precision="ieee")


@triton.jit
def _gated_forward(
    both,
    low,
    up,
    out,
    tokens,
    width,
    rank,
    gelu: tl.constexpr,
    padded_rank: tl.constexpr,
    tokens_a_program: tl.constexpr,
    width_a_program: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64) * tokens_a_program + tl.arange(0, tokens_a_program)
    column = tl.program_id(1) * width_a_program + tl.arange(0, width_a_program)
    inside = (row < tokens)[:, None] & (column < width)[None, :]
    token = tl.minimum(row, tokens - 1)
    gate = _tile(both, low, up, width, rank, token, column, inside, padded_rank, 0)
    other = _tile(both, low, up, width, rank, token, column, inside, padded_rank, 1)
    if gelu:
        bent = 0.7978845608028654 * (gate + 0.044715 * gate * gate * gate)
        active = gate * tl.sigmoid(2.0 * bent)
    else:
        active = gate * tl.sigmoid(gate)
    tl.store(out + token[:, None] * width + column[None, :], (active * other).to(out.dtype.element_ty), mask=inside)


@triton.jit
def _gated_backward(
    both,
    low,
    up,
    out,
    tokens,
    width,
    rank,
    gelu: tl.constexpr,
    padded_rank: tl.constexpr,
    tokens_a_program: tl.constexpr,
    width_a_program: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64) * tokens_a_program + tl.arange(0, tokens_a_program)
    column = tl.program_id(1) * width_a_program + tl.arange(0, width_a_program)
    inside = (row < tokens)[:, None] & (column < width)[None, :]
    token = tl.minimum(row, tokens - 1)
    gate = _tile(both, low, up, width, rank, token, column, inside, padded_rank, 0)
    other = _tile(both, low, up, width, rank, token, column, inside, padded_rank, 1)
    place = out + token[:, None] * width + column[None, :]
    pulled = tl.load(place, mask=inside, other=0.0).to(tl.float32)
    if gelu:
        bent = 0.7978845608028654 * (gate + 0.044715 * gate * gate * gate)
        share = tl.sigmoid(2.0 * bent)
        steep = share + gate * 2.0 * share * (1.0 - share) * 0.7978845608028654 * (1.0 + 0.134145 * gate * gate)
    else:
        share = tl.sigmoid(gate)
        steep = share * (1.0 + gate * (1.0 - share))
    active = gate * share
    kind = both.dtype.element_ty
    tl.store(place, (active * other).to(out.dtype.element_ty), mask=inside)
    first = both + token[:, None] * (2 * width) + column[None, :]
    tl.store(first, (pulled * other * steep).to(kind), mask=inside)
    tl.store(first + width, (pulled * active).to(kind), mask=inside)


@triton.jit
def _softmax(
    logits,
    targets,
    nll,
    scale,
    multiplier,
    cap,
    ignored,
    width: tl.constexpr,
    capped: tl.constexpr,
    block: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    start = logits + row * width
    target = tl.load(targets + row)
    factor = tl.where(target == ignored, 0.0, tl.load(scale))
    target = tl.where(target == ignored, 0, target)
    at = tl.arange(0, block)
    high = tl.full((block,), float("-inf"), tl.float32)
    total = tl.zeros((block,), tl.float32)
    for begin in range(0, width, block):
        inside = begin + at < width
        score = tl.load(start + begin + at, mask=inside, other=0.0).to(tl.float32) * multiplier
        if capped:
            score = cap * (2.0 * tl.sigmoid(2.0 * score / cap) - 1.0)
        score = tl.where(inside, score, -1e30)
        higher = tl.maximum(high, score)
        total = total * tl.exp(high - higher) + tl.exp(score - higher)
        high = higher
    top = tl.max(high, 0)
    normaliser = top + tl.log(tl.sum(total * tl.exp(high - top), 0))
    chosen = tl.load(start + target).to(tl.float32) * multiplier
    if capped:
        chosen = cap * (2.0 * tl.sigmoid(2.0 * chosen / cap) - 1.0)
    tl.store(nll + row, tl.where(factor == 0.0, 0.0, (normaliser - chosen) * factor))
    tl.debug_barrier()  # every thread has read the target's logit before any overwrites it
    for begin in range(0, width, block):
        inside = begin + at < width
        score = tl.load(start + begin + at, mask=inside, other=0.0).to(tl.float32) * multiplier
        slope = multiplier
        if capped:
            bent = 2.0 * tl.sigmoid(2.0 * score / cap) - 1.0
            score = cap * bent
            slope = multiplier * (1.0 - bent * bent)
        gradient = (tl.exp(score - normaliser) - tl.where(begin + at == target, 1.0, 0.0)) * slope * factor
        tl.store(start + begin + at, gradient.to(logits.dtype.element_ty), mask=inside)


def norm_forward(x: Tensor, weight: Tensor, eps: float, one_more: bool) -> tuple[Tensor, Tensor]:
    """Return the normed rows of `x` (rows, width) and each row's factor."""
    y, scale = torch.empty_like(x), torch.empty(len(x), dtype=torch.float32, device=x.device)
    width = x.shape[1]
    _norm_forward[(len(x),)](x, weight, y, scale, width, eps, one_more, **_row_launch(width))
    return y, scale


def norm_backward(
    x: Tensor, weight: Tensor, scale: Tensor, dy: Tensor, one_more: bool, plus: Tensor | None = None
) -> Tensor:
    """Return the gradient of `x`, with `plus` (rows, width) added."""
    dx, width = torch.empty_like(x), x.shape[1]
    added, other = plus is not None, dy if plus is None else plus
    _norm_backward[(len(x),)](x, weight, scale, dy, other, dx, width, one_more, added, **_row_launch(width))
    return dx


def _row_launch(width: int) -> dict[str, int]:
    block = triton.next_power_of_2(width)
    return {"block": block, "num_warps": min(16, max(1, block // 256))}


def gated_forward(both: Tensor, low: Tensor, up: Tensor, *, gelu: bool) -> Tensor:
    """Return the gated product (tokens, width) of the base's two outputs `both` (tokens, 2 width), adapters added."""
    out = both.new_empty(len(both), both.shape[1] // 2)
    _gated_forward[_gated_grid(out)](both, low, up, out, *_gated_sizes(out, low), gelu, **_gated_launch(low))
    return out


def gated_backward_(both: Tensor, low: Tensor, up: Tensor, gradient: Tensor, *, gelu: bool) -> None:
    """Put the product's gradient in place of `both`, and the product itself in place of `gradient`."""
    sizes = _gated_sizes(gradient, low)
    _gated_backward[_gated_grid(gradient)](both, low, up, gradient, *sizes, gelu, **_gated_launch(low))


def _gated_grid(out: Tensor) -> tuple[int, int]:
    return triton.cdiv(len(out), GATED_TOKENS), triton.cdiv(out.shape[1], GATED_WIDTH)


def _gated_sizes(out: Tensor, low: Tensor) -> tuple[int, int, int]:
    return len(out), out.shape[1], low.shape[1] // 2


def _gated_launch(low: Tensor) -> dict[str, Any]:
    rank = max(NARROWEST_DOT, triton.next_power_of_2(low.shape[1] // 2))
    return {"padded_rank": rank, "tokens_a_program": GATED_TOKENS, "width_a_program": GATED_WIDTH, "num_warps": 4}


def softmax_gradient_(
    logits: Tensor, targets: Tensor, scale: Tensor, ignored: int, multiplier: float, cap: float
) -> Tensor:
    nll = torch.empty(len(logits), dtype=torch.float32, device=logits.device)
    form = (multiplier, cap or 1.0, ignored, logits.shape[1], bool(cap), VOCABULARY_BLOCK)
    _softmax[(len(logits),)](logits, targets, nll, scale, *form, num_warps=8)
    return nll

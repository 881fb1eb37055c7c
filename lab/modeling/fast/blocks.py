"""A whole decoder block fused: norms into what reads them, residual sums into the products before them.

Between a block's two halves only the residual stream is kept: the normed rows are made again from it in the backward
pass, which costs one light kernel and saves two activations a block. Sums with the residual and with the adapters' part
stand in the accumulator of the base's product, and in the kernel of the norm's gradient, instead of in passes of their
own. The last product of a block is kept by nobody, so that whoever recomputes activations does not make it again.
Called by `modeling.fast.install`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lab.modeling.fast.kernels import (
    gated,
    gated_backward_,
    norm_rows,
    norm_rows_backward,
    rotate_apart,
    rotate_together,
)
from lab.modeling.fast.lora import Group, Rotation


@dataclass(frozen=True)
class Norm:
    """An RMS norm: its frozen weight, its epsilon, and whether the gain is one more than the weight."""

    weight: Tensor
    eps: float
    one_more: bool


@dataclass(frozen=True)
class Block:
    """What a pre-norm block consists of: `x + out(attend(heads(norm x)))`, then `x + down(gated(pair(norm x)))`.

    Attributes:
        heads: q, k and v in one.
        counts: how many heads each of them has.
        attend: from (queries, keys and values, each (1, tokens, heads, width), kwargs) to (1, tokens, features).
        gelu: the gate's activation is GELU by tanh; else SiLU.
    """

    before: Norm
    heads: Group
    counts: tuple[int, int, int]
    attend: Callable[[Tensor, Tensor, Tensor, dict[str, Any]], Tensor]
    out: Group
    between: Norm
    pair: Group
    down: Group
    gelu: bool


def run_block(x: Tensor, block: Block, rotation: Rotation, ends: dict[str, Any]) -> Tensor:
    """Return a block's output for packed rows `x` (1, tokens, width)."""
    query, key, value, same = _NormedHeads.apply(x, block, rotation, *block.heads.parameters())
    attended = block.attend(query[None], key[None], value[None], ends)
    middle = _AddedProduct.apply(attended, same, block.out, *block.out.parameters())
    kept = _Kept()
    parameters = (*block.pair.parameters(), *block.down.parameters())
    both, inner, same = _NormedPair.apply(middle, block, kept, *parameters)
    y: Tensor = _AddedMlp.apply(both, inner, same, block, kept)
    return y


class _Kept:
    """The adapter's inner states of the last product, which the recomputed first half of an MLP does not make."""

    inner: Tensor | None = None


def _product(group: Group, x: Tensor, plus: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return a group's output with its adapters, `plus` added, (tokens, outputs), and the adapters' inner states."""
    high = group.high.t()
    if group.bias is not None or group.gains is not None:
        y, inner = group.base(x)
        y.addmm_(inner, high)
        return (y if plus is None else y.add_(plus)), inner
    inner = x @ group.low.t()
    y = inner @ high if plus is None else torch.addmm(plus, inner, high)
    return y.addmm_(x, group.weight().t()), inner


class _NormedHeads(torch.autograd.Function):
    """x -> (rotated q and k, and v, of the normed rows; x again, whose gradient is the residual's)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, block: Block, rotation: Rotation, *_: Any) -> tuple[Tensor, ...]:
        rows, norm = x.reshape(-1, x.shape[-1]), block.before
        normed, scale = norm_rows(rows, norm.weight, norm.eps, one_more=norm.one_more)
        block.heads.refresh()
        y, inner = _product(block.heads, normed)
        ctx.save_for_backward(rows, scale, inner)
        ctx.block, ctx.rotation = block, rotation
        return *rotate_apart(y, rotation.cos, rotation.sin, block.counts), x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Any, ...]:
        rows, scale, inner = ctx.saved_tensors
        norm, group, rotation = ctx.block.before, ctx.block.heads, ctx.rotation
        query, key, value, same = gradients
        dy = rotate_together(query, key, value, rotation.cos, rotation.sin)
        normed, _ = norm_rows(rows, norm.weight, norm.eps, one_more=norm.one_more)
        d_inner = dy @ group.high
        adapters = group.adapter_gradients(normed, inner, dy, d_inner)
        del normed
        if not ctx.needs_input_grad[0]:
            return None, None, None, *adapters
        pulled, plus = group.input_gradient(dy, d_inner), same.reshape(rows.shape)
        dx = norm_rows_backward(rows, norm.weight, scale, pulled, one_more=norm.one_more, plus=plus)
        return dx.view(same.shape), None, None, *adapters


class _AddedProduct(torch.autograd.Function):
    """(x, residual) -> residual + the product of x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, residual: Tensor, group: Group, *_: Any) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        group.refresh()
        y, inner = _product(group, rows, residual.reshape(-1, residual.shape[-1]))
        ctx.save_for_backward(rows, inner)
        ctx.group, ctx.shape = group, x.shape
        return y.view(residual.shape)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Any, ...]:
        rows, inner = ctx.saved_tensors
        dy = gradients[0].reshape(len(rows), -1)
        d_inner = dy @ ctx.group.high
        adapters = ctx.group.adapter_gradients(rows, inner, dy, d_inner)
        return ctx.group.input_gradient(dy, d_inner).view(ctx.shape), gradients[0], None, *adapters


class _NormedPair(torch.autograd.Function):
    """x -> (gate and up of the normed rows, their adapters' inner states, x again), with all of the MLP's gradient.

    What comes back for the last output, the gradient of the block's sum, is the MLP's as well as the residual's.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, block: Block, kept: _Kept, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
        rows, norm = x.reshape(-1, x.shape[-1]), block.between
        normed, scale = norm_rows(rows, norm.weight, norm.eps, one_more=norm.one_more)
        block.pair.refresh()
        both, inner = block.pair.base(normed)
        ctx.save_for_backward(rows, scale, both, inner)
        ctx.set_materialize_grads(False)
        ctx.block, ctx.kept = block, kept
        return both, inner, x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Any, ...]:
        rows, scale, both, inner = ctx.saved_tensors
        block, norm = ctx.block, ctx.block.between
        dy = gradients[2].reshape(rows.shape)
        d_down = dy @ block.down.high
        product = block.down.input_gradient(dy, d_down)  # its gradient, and after the next line the product itself
        gated_backward_(both, inner, block.pair.high, product, gelu=block.gelu)
        after = block.down.adapter_gradients(product, ctx.kept.inner, dy, d_down)
        del product
        d_inner = both @ block.pair.high
        normed, _ = norm_rows(rows, norm.weight, norm.eps, one_more=norm.one_more)
        adapters = block.pair.adapter_gradients(normed, inner, both, d_inner)
        del normed
        pulled = block.pair.input_gradient(both, d_inner)
        dx = norm_rows_backward(rows, norm.weight, scale, pulled, one_more=norm.one_more, plus=dy)
        return dx.view(gradients[2].shape), None, None, *adapters, *after


class _AddedMlp(torch.autograd.Function):
    """(gate and up, inner states, residual) -> residual + the MLP's output; nothing is kept."""

    @staticmethod
    def forward(ctx: Any, both: Tensor, inner: Tensor, residual: Tensor, block: Block, kept: _Kept) -> Tensor:
        block.down.refresh()
        product = gated(both, inner, block.pair.high, gelu=block.gelu)
        y, kept.inner = _product(block.down, product, residual.reshape(-1, residual.shape[-1]))
        return y.view(residual.shape)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Any, ...]:
        return None, None, gradients[0], None, None

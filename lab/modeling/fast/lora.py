"""LoRA's projections fused: those that read the same input share its products, its memory and one dequantisation.

PEFT computes each projection by itself: a base product, two thin ones, a sum, casts, and as many again backward. Here
the weights of q, k, v (and of gate and up) stand in one matrix, their adapters' low sides in another, and the gradient
is written by hand: the input is kept once, packed weights are unpacked where a pass needs them and never kept, the
gated product is made again instead of kept. Parameters stay PEFT's own, so optimiser, checkpoints and saved adapters do
not change. DoRA's outputs are scaled besides (`modeling.fast.dora`). Called by `modeling.fast.install`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor, nn

from lab.modeling.dora import magnitude_of
from lab.modeling.fast.dora import Gains
from lab.modeling.fast.kernels import gated, gated_backward_, rotate_
from lab.modeling.frozen import arithmetic_dtype, base_obstacle, is_packed, unpack


def linear_obstacle(module: Any) -> str:
    """Return why a linear of a model with adapters cannot be fused; "" where it can."""
    from peft.tuners.lora.layer import LoraLayer

    if not isinstance(module, LoraLayer):
        return "it has no adapter"
    if module.merged or module.disable_adapters or len(module.active_adapters) != 1:
        return "its adapter is merged, off, or not alone"
    name = module.active_adapters[0]
    if name not in module.lora_A or len(module.lora_A) != 1:
        return "it has several adapters"
    if module.lora_bias.get(name) or (name in module.lora_variant and magnitude_of(module, name) is None):
        return "its adapter is more than two matrices"
    if getattr(module, "fan_in_fan_out", False) or not _plain_dropout(module.lora_dropout[name]):
        return "it has dropout, or is stored the other way round"
    return base_obstacle(module.get_base_layer())


def _plain_dropout(module: nn.Module) -> bool:
    return isinstance(module, nn.Identity) or getattr(module, "p", 1.0) == 0.0


@dataclass(frozen=True)
class Part:
    """One projection: its frozen base and its adapter, `y = base(x) + scaling B A x`.

    Attributes:
        magnitude: (outputs,), DoRA's; None where outputs are not scaled.
    """

    base: Any
    low: nn.Parameter
    high: nn.Parameter
    scaling: float
    magnitude: nn.Parameter | None

    @classmethod
    def read(cls, module: Any) -> Part:
        """Take a PEFT layer apart that `linear_obstacle` has nothing against."""
        name = module.active_adapters[0]
        low, high = module.lora_A[name].weight, module.lora_B[name].weight
        magnitude = magnitude_of(module, name)
        return cls(module.get_base_layer(), low, high, float(module.scaling[name]), magnitude)

    def kind(self, dtype: torch.dtype) -> tuple[Any, ...]:
        """Return what parts of one group have in common; `dtype` as for a `Group`."""
        return arithmetic_dtype(self.base, dtype), is_packed(self.base), self.magnitude is None


class Group:
    """Projections that read the same input, as one.

    Args:
        parts: of one `kind`.
        dtype: the precision of the arithmetic, where the bases do not tell.

    Attributes:
        low: (ranks, inputs), the A matrices one below the other, in the precision of the arithmetic.
        high: (outputs, ranks), the B matrices times their scaling (and gains) along its diagonal, zero beside them.
        gains: what DoRA multiplies the outputs by; None without it.
    """

    def __init__(self, parts: list[Part], dtype: torch.dtype) -> None:
        self.parts = parts
        self.outputs = _slices([part.high.shape[0] for part in parts])
        self.ranks = _slices([part.low.shape[0] for part in parts])
        first = parts[0]
        self.dtype = arithmetic_dtype(first.base, dtype)
        device, inputs = first.low.device, first.low.shape[1]
        self.low = torch.empty(self.ranks[-1].stop, inputs, dtype=self.dtype, device=device)
        self.high = torch.zeros(self.outputs[-1].stop, self.ranks[-1].stop, dtype=self.dtype, device=device)
        self.bias = self._stack_biases()
        self._stacked = None if is_packed(first.base) else self._stack_weights()
        self.gains = None if first.magnitude is None else Gains(self.weight())

    def release(self) -> None:
        """Give each weight storage of its own again."""
        if self._stacked is not None and len(self.parts) > 1:
            for part in self.parts:
                part.base.weight.data = part.base.weight.data.clone()

    def parameters(self) -> list[nn.Parameter]:
        magnitudes = [part.magnitude for part in self.parts if part.magnitude is not None]
        return [part.low for part in self.parts] + [part.high for part in self.parts] + magnitudes

    def refresh(self) -> None:
        """Bring the adapters to the precision of the arithmetic; their masters stay as they are."""
        for part, rank in zip(self.parts, self.ranks, strict=True):
            self.low[rank].copy_(part.low)
        if self.gains is not None:
            self._refresh_gains(self.gains)
            return
        for part, rank, output in zip(self.parts, self.ranks, self.outputs, strict=True):
            torch.mul(part.high, part.scaling, out=self.high[output, rank])

    def _refresh_gains(self, gains: Gains) -> None:
        weight = self.weight()
        for part, rank, output in zip(self.parts, self.ranks, self.outputs, strict=True):
            assert part.magnitude is not None
            high = part.high.detach() * part.scaling
            gain = gains.refresh(output, weight[output], self.low[rank], high, part.magnitude.detach())
            torch.mul(high, gain.unsqueeze(1), out=self.high[output, rank])

    def weight(self) -> Tensor:
        """Return the base weights one below the other, (outputs, inputs): what is kept, or what few bits stand for."""
        if self._stacked is not None:
            return self._stacked
        whole = torch.empty(len(self.high), self.low.shape[1], dtype=self.dtype, device=self.low.device)
        for part, output in zip(self.parts, self.outputs, strict=True):
            unpack(part.base, whole[output])
        return whole

    def base(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the base's output (tokens, outputs), scaled, and the adapters' inner one (tokens, ranks)."""
        inner, weight = x @ self.low.t(), self.weight()
        if self.gains is not None:
            return self.gains.product(x, weight, self.bias), inner
        return (x @ weight.t() if self.bias is None else torch.addmm(self.bias, x, weight.t())), inner

    def gradients(self, x: Tensor, inner: Tensor, dy: Tensor, *, wanted: bool) -> tuple[Tensor | None, list[Tensor]]:
        """Return the gradient of `x`, if wanted, and those of `parameters`."""
        d_inner = dy @ self.high
        adapters = self.adapter_gradients(x, inner, dy, d_inner)
        return (self.input_gradient(dy, d_inner) if wanted else None), adapters

    def input_gradient(self, dy: Tensor, d_inner: Tensor) -> Tensor:
        """Return the gradient of the input, (tokens, inputs)."""
        return (d_inner @ self.low).addmm_(dy if self.gains is None else self.gains.pulled(dy), self.weight())

    def adapter_gradients(self, x: Tensor, inner: Tensor, dy: Tensor, d_inner: Tensor) -> list[Tensor]:
        """Return the gradients of `parameters`, in fp32 and their order."""
        d_low = (d_inner.t() @ x).float()
        d_high = dy.t() @ inner
        lows = [d_low[rank] for rank in self.ranks]
        if self.gains is not None:
            return lows + self._scaled_gradients(self.gains, d_high, self.gains.base_gradients(x, dy, self.weight()))
        highs = [
            torch.mul(d_high[output, rank], part.scaling, out=torch.empty_like(part.high))
            for part, output, rank in zip(self.parts, self.outputs, self.ranks, strict=True)
        ]
        return lows + highs

    def _scaled_gradients(self, gains: Gains, d_high: Tensor, d_gain: Tensor) -> list[Tensor]:
        """Return the gradients of the B matrices, then of the magnitudes."""
        highs, magnitudes = [], []
        for part, output, rank in zip(self.parts, self.outputs, self.ranks, strict=True):
            unscaled = torch.mul(d_high[output, rank], part.scaling, out=torch.empty_like(part.high))
            whole = d_gain[output] + (unscaled * part.high.detach()).sum(1)
            magnitudes.append(whole.div_(gains.norms[output]))
            highs.append(unscaled.mul_(gains.gain[output].unsqueeze(1)))
        return highs + magnitudes

    def _stack_weights(self) -> Tensor:
        """Move the base weights into one matrix of which each is a part."""
        if len(self.parts) == 1:
            return self.parts[0].base.weight.data
        whole = torch.cat([part.base.weight.data for part in self.parts])
        for part, output in zip(self.parts, self.outputs, strict=True):
            part.base.weight.data = whole[output]
        return whole

    def _stack_biases(self) -> Tensor | None:
        biases = [part.base.bias for part in self.parts]
        if all(bias is None for bias in biases):
            return None
        blank = [self.high.new_zeros(part.high.shape[0]) for part in self.parts]
        return torch.cat([b.data.to(self.dtype) if b is not None else z for b, z in zip(biases, blank, strict=True)])


def _slices(sizes: list[int]) -> list[slice]:
    return [slice(start, stop) for start, stop in pairwise([0, *accumulate(sizes)])]


@dataclass(frozen=True)
class Rotation:
    """Rotary positions: cos and sin, each (tokens, head width)."""

    cos: Tensor
    sin: Tensor


class _Project(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Group, rotation: Rotation | None, heads: int, *_: Any) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        group.refresh()
        y, inner = group.base(rows)
        y.addmm_(inner, group.high.t())
        if rotation is not None:
            rotate_(y, rotation.cos, rotation.sin, heads)
        ctx.save_for_backward(rows, inner)
        ctx.group, ctx.rotation, ctx.heads, ctx.shape = group, rotation, heads, x.shape
        return y.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Any, ...]:
        rows, inner = ctx.saved_tensors
        dy, rotation = gradients[0].reshape(len(rows), -1), ctx.rotation
        if rotation is not None:
            dy = dy.contiguous()  # the sum of the parts' gradients, made for this node alone
            rotate_(dy, rotation.cos, rotation.sin, ctx.heads, back=True)
        dx, adapters = ctx.group.gradients(rows, inner, dy, wanted=ctx.needs_input_grad[0])
        return (None if dx is None else dx.view(ctx.shape)), None, None, None, *adapters


def project(x: Tensor, group: Group, rotation: Rotation | None = None, heads: int = 0) -> Tensor:
    """Return the outputs of a group side by side, (..., outputs), the first `heads` heads rotated by `rotation`."""
    y: Tensor = _Project.apply(x.to(group.dtype), group, rotation, heads, *group.parameters())
    return y


class _GatedMlp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, pair: Group, down: Group, gelu: bool, *_: Any) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        pair.refresh()
        down.refresh()
        both, inner = pair.base(rows)
        product = gated(both, inner, pair.high, gelu=gelu)
        y, down_inner = down.base(product)
        y.addmm_(down_inner, down.high.t())
        ctx.save_for_backward(rows, both, inner, down_inner)
        ctx.pair, ctx.down, ctx.gelu, ctx.shape = pair, down, gelu, x.shape
        return y.view(x.shape)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Any, ...]:
        rows, both, inner, down_inner = ctx.saved_tensors
        dy = gradients[0].reshape(rows.shape)
        pair, down = ctx.pair, ctx.down
        d_down_inner = dy @ down.high
        product = down.input_gradient(dy, d_down_inner)  # its gradient, and after the next line the product itself
        gated_backward_(both, inner, pair.high, product, gelu=ctx.gelu)
        after = down.adapter_gradients(product, down_inner, dy, d_down_inner)
        del product
        dx, before = pair.gradients(rows, inner, both, wanted=ctx.needs_input_grad[0])
        return (None if dx is None else dx.view(ctx.shape)), None, None, None, *before, *after


def gated_mlp(x: Tensor, pair: Group, down: Group, *, gelu: bool) -> Tensor:
    """Return a gated MLP's output: `down(activation(gate(x)) * up(x))`.

    Args:
        pair: gate and up, in that order, of one rank.
        gelu: the activation is GELU by tanh; else SiLU.
    """
    y: Tensor = _GatedMlp.apply(x.to(pair.dtype), pair, down, gelu, *pair.parameters(), *down.parameters())
    return y

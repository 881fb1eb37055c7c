"""DoRA's share of fused projections: each output times its magnitude by the norm of its adapted weight.

`y = g * (x W' + s (x A') B')`, where `g` comes from `modeling.dora`. As in the paper (https://arxiv.org/abs/2402.09353,
section 4.3) and PEFT the norm counts as a constant in the backward pass. Called by `modeling.fast.lora`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lab.modeling.dora import adapted_norms, row_squares

WIDE_BYTES = 1 << 26
"""Products are kept in fp32 until they are scaled, at most this much of them at once."""


class Gains:
    """What the outputs of a group are multiplied by.

    Args:
        weight: (outputs, inputs), the base weights.

    Attributes:
        gain: (outputs,), fp32: magnitude by norm.
        norms: (outputs,), fp32, of the adapted weights' rows.
    """

    def __init__(self, weight: Tensor) -> None:
        self._squares = row_squares(weight)
        self.norms = self._squares.sqrt()
        self.gain = torch.ones_like(self.norms)

    def refresh(self, output: slice, weight: Tensor, low: Tensor, high: Tensor, magnitude: Tensor) -> Tensor:
        """Bring the gains of one part up to date and return them.

        Args:
            output: the part's rows.
            weight: (outputs, inputs), the part's base weight.
            low: (rank, inputs), A in the precision of the arithmetic.
            high: (outputs, rank), B with its scaling, fp32.
            magnitude: (outputs,)
        """
        self.norms[output] = adapted_norms(self._squares[output], weight, low, high)
        return torch.div(magnitude, self.norms[output], out=self.gain[output])

    def product(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return `g * (x W') + bias`, scaled before it is rounded.

        A product that is rounded before it is scaled would lose gains closer to 1 than bf16 can tell.
        """
        y = x.new_empty(len(x), len(weight))
        step = max(1, WIDE_BYTES // (4 * len(weight)))
        for start in range(0, len(x), step):
            part = slice(start, start + step)
            wide = _wide_product(x[part], weight.t()).mul_(self.gain)
            y[part].copy_(wide if bias is None else wide.add_(bias))
        return y

    def pulled(self, dy: Tensor) -> Tensor:
        """Return the gradient of the outputs before they were scaled."""
        return torch.mul(dy, self.gain, out=torch.empty_like(dy))

    def base_gradients(self, x: Tensor, dy: Tensor, weight: Tensor) -> Tensor:
        """Return the base's part (outputs,) of the gains' gradients: the sums over the tokens of `dy * (x W')`."""
        return torch.mul(dy.t() @ x, weight).sum(1, dtype=torch.float32)


def _wide_product(x: Tensor, weight: Tensor) -> Tensor:
    """Return `x @ weight` in fp32."""
    if x.is_cuda and x.dtype != torch.float32:
        return torch.mm(x, weight, out_dtype=torch.float32)
    return (x @ weight).float()

"""DoRA's norms without the product of its matrices. Called by the fast path, by evaluation and by chat.

DoRA gives each output a magnitude `m` and multiplies by `m / norm(W + s B A)`, row by row. PEFT builds `B A` and the
whole sum in every pass, for a single token too. The norm follows from less: its square is
`|W|^2 + 2 s (W A') . B + s^2 (B A A') . B`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lab.modeling.frozen import arithmetic_dtype, whole_weight


def magnitude_of(module: Any, name: str) -> nn.Parameter | None:
    """Return the magnitudes (outputs,) of a PEFT layer's adapter; None where it is no DoRA."""
    vectors = module.lora_magnitude_vector
    return vectors[name].weight if name in vectors else None


def row_squares(weight: Tensor) -> Tensor:
    """Return the squared norms of the rows of `weight`, in fp32."""
    return torch.linalg.vector_norm(weight, dim=1, dtype=torch.float32).square_()


def adapted_norms(squares: Tensor, weight: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Return the norms (outputs,) of the rows of `weight + high @ low`, in fp32.

    Args:
        squares: (outputs,), `row_squares(weight)`.
        weight: (outputs, inputs)
        low: (rank, inputs), A, of the precision of `weight`.
        high: (outputs, rank), B with its scaling, fp32.
    """
    with torch.autocast(weight.device.type, enabled=False):
        across = torch.addmm((weight @ low.t()).float(), high, (low @ low.t()).float(), beta=2.0)
        return (squares + (across * high).sum(1)).sqrt()


@contextlib.contextmanager
def settled(model: nn.Module) -> Iterator[None]:
    """Let DoRA's layers answer as `settle` has them while the context lasts."""
    changed = settle(model)
    try:
        yield
    finally:
        for vector in changed:
            del vector.forward


def settle(model: nn.Module) -> list[nn.Module]:
    """Let DoRA's layers answer by norms that are made once, here: their weights must stay what they are from now on.

    Returns:
        The modules whose `forward` was replaced; none for other adapters.
    """
    from peft.tuners.lora.dora import DoraLinearLayer
    from peft.tuners.lora.layer import LoraLayer

    changed: list[nn.Module] = []
    for module in model.modules():
        for name, vector in module.lora_magnitude_vector.items() if isinstance(module, LoraLayer) else ():
            if type(vector) is DoraLinearLayer and not vector.fan_in_fan_out:
                vector.forward = partial(_scaled, gain=_gain(module, name), plain=vector.forward)
                changed.append(vector)
    return changed


@torch.no_grad()
def _gain(module: Any, name: str) -> Tensor:
    """Return magnitude by norm, (outputs,), fp32."""
    base = module.get_base_layer()
    # PEFT's own unpacking moves an 8-bit weight, on a CPU to a new one without its scales.
    weight = whole_weight(base, arithmetic_dtype(base, torch.bfloat16 if base.weight.is_cuda else torch.float32))
    low, high = module.lora_A[name].weight, module.lora_B[name].weight
    norms = adapted_norms(row_squares(weight), weight, low.to(weight.dtype), high.float() * module.scaling[name])
    return module.lora_magnitude_vector[name].weight.float() / norms


def _scaled(x: Tensor, *, gain: Tensor, plain: Any, base_result: Tensor | None = None, **about: Any) -> Tensor:
    """Return what DoRA adds to the base's result, as PEFT's `DoraLinearLayer.forward`."""
    if base_result is None:  # behind dropout: nobody answers so
        found: Tensor = plain(x, base_result=base_result, **about)
        return found
    bias = about["base_layer"].bias
    unbiased = base_result if bias is None else base_result - bias
    return (gain - 1) * unbiased + gain * about["lora_B"](about["lora_A"](x)) * about["scaling"]

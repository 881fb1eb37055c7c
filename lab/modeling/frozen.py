"""The frozen linears under adapters: what their weights stand for, whether kept as they are, in 4 bits or in 8.

8-bit weights are unpacked as 4-bit ones are. LLM.int8() would round the activations to 8 bits as well, pick outliers
apart at a price of several waits for the GPU a product, and multiply back with the unpacked weight all the same.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

INT8_STEPS = 127
"""An int8 weight is `code * absmax / 127` of its row (bitsandbytes, `int8_vectorwise_dequant`)."""


def base_obstacle(base: Any) -> str:
    """Return why the linear under an adapter cannot be fused; "" where it can."""
    if base.weight.requires_grad or (base.bias is not None and base.bias.requires_grad):
        return "its base trains"
    if getattr(base.weight, "quant_state", None) is not None:
        return "" if base.weight.shape[0] != 1 else "its 4-bit weight is stored the other way round"
    if _is_int8(base):
        return "" if _row_maxima(base) is not None else "its 8-bit weight has no scales"
    return "" if type(base) is nn.Linear and base.weight.is_floating_point() else f"its base is a {type(base).__name__}"


def is_packed(base: Any) -> bool:
    """Tell whether the weight is kept in fewer bits than it is computed in."""
    return getattr(base.weight, "quant_state", None) is not None or _is_int8(base)


def arithmetic_dtype(base: Any, otherwise: torch.dtype) -> torch.dtype:
    """Return the precision that the base computes in; `otherwise` where it does not say."""
    state = getattr(base.weight, "quant_state", None)
    if state is not None:
        found: torch.dtype = state.dtype
        return found
    return otherwise if _is_int8(base) else base.weight.dtype


def whole_weight(base: Any, dtype: torch.dtype) -> Tensor:
    """Return the weight (outputs, inputs): as it is kept, or what few bits stand for, in `dtype`."""
    if not is_packed(base):
        kept: Tensor = base.weight.data
        return kept
    made = torch.empty(base.out_features, base.in_features, dtype=dtype, device=base.weight.device)
    return unpack(base, made)


def unpack(base: Any, out: Tensor) -> Tensor:
    """Write what a packed weight stands for to `out`, (outputs, inputs), and return it."""
    if _is_int8(base):
        return torch.mul(base.weight.data, (_row_maxima(base) / INT8_STEPS).unsqueeze(1), out=out)
    from bitsandbytes.functional import dequantize_4bit

    state = base.weight.quant_state
    if not out.is_cuda:  # bitsandbytes writes to `out` on GPUs alone
        return out.copy_(dequantize_4bit(base.weight.data, state))
    dequantize_4bit(base.weight.data, state, out=out)
    return out


def _is_int8(base: Any) -> bool:
    return base.weight.dtype == torch.int8 and type(base).__name__ == "Linear8bitLt"


def _row_maxima(base: Any) -> Any:
    """Return the largest absolute value of each row, which bitsandbytes moves from weight to state at first use."""
    return base.state.SCB if getattr(base.weight, "SCB", None) is None else base.weight.SCB

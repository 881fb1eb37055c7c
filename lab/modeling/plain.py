"""A tuned model as one plain model: adapters folded in, packed weights unpacked, one precision.

Called by evaluation where `evaluate.weights = "merged-bf16"`, and by the inference benchmark. It answers faster; a
quantised model's numbers are no longer those that were trained against, so the weights stand in every spec.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.modeling.merge import full_weight, update

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


def as_plain(model: Any, dtype: torch.dtype) -> Any:
    """Return `model`, changed in place, with all that it learnt in plain weights of `dtype`.

    Each weight is unpacked to fp32, all updates are added, and it is rounded once. Buffers keep their precision:
    rotary embeddings need it.
    """
    import torch
    from peft import PeftModel
    from peft.tuners.lora import LoraLayer

    with torch.no_grad():
        for module in [one for one in model.modules() if isinstance(one, LoraLayer)]:
            layer = module.get_base_layer()
            weight = full_weight(layer)
            names = [name for name in module.active_adapters if name in module.lora_A]
            whole = weight + sum(update(module, name, weight) for name in names)
            if _packed(layer):
                module.base_layer = _linear(layer, whole, dtype)
            else:
                layer.weight.data = whole.to(dtype)
        plain = model.unload() if isinstance(model, PeftModel) else model
        _unpack_rest(plain, dtype)
        for parameter in plain.parameters():
            parameter.data = parameter.data.to(dtype)
    return plain.requires_grad_(False).eval()


def _unpack_rest(model: nn.Module, dtype: torch.dtype) -> None:
    """Replace packed linears that no adapter stands on."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if _packed(child):
                setattr(parent, name, _linear(child, full_weight(child), dtype))


def _packed(layer: Any) -> bool:
    from peft.utils.integrations import get_bnb_param_type

    weight = getattr(layer, "weight", None)
    return weight is not None and bool(get_bnb_param_type(weight))


def _linear(layer: Any, weight: Tensor, dtype: torch.dtype) -> nn.Linear:
    from torch import nn

    rows, columns = weight.shape
    plain = nn.Linear(columns, rows, bias=layer.bias is not None, device="meta")
    plain.weight = nn.Parameter(weight.to(dtype), requires_grad=False)
    if layer.bias is not None:
        plain.bias = nn.Parameter(layer.bias.detach().to(dtype), requires_grad=False)
    return plain

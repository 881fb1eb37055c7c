"""Folding adapters into the weights that they stand on, packed ones included. Called for stages and by export.

PEFT merges one adapter after the other and rounds a packed weight each time. Here a weight is unpacked once, all
updates are added in fp32, and it is packed once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def merge_adapters(model: Any) -> Any:
    """Return the model with all its active adapters folded in, without PEFT around it; one without any as it is.

    A DoRA update is relative to the weight without any adapter, as in PEFT's forward pass, so the order of adapters
    does not matter.
    """
    import torch
    from peft import PeftModel
    from peft.tuners.lora import LoraLayer

    if not isinstance(model, PeftModel):
        return model
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, LoraLayer):
                layer = module.get_base_layer()
                weight = full_weight(layer)
                names = [name for name in module.active_adapters if name in module.lora_A]
                set_weight(layer, weight + sum(update(module, name, weight) for name in names))
    return model.unload().requires_grad_(False)


def update(module: Any, adapter: str, weight: Tensor) -> Tensor:
    """Return what the adapter of one linear adds to its fp32 `weight`, of the same shape.

    LoRA: s B A (Hu et al. 2021). DoRA: m (W + s B A) / |W + s B A| - W, the norm over inputs (Liu et al. 2024, eq. 5).
    """
    down, up = module.lora_A[adapter].weight.float(), module.lora_B[adapter].weight.float()
    change = (up @ down) * module.scaling[adapter]
    if getattr(module, "fan_in_fan_out", False):
        change = change.T
    if adapter not in getattr(module, "lora_magnitude_vector", {}):
        return change
    magnitude = module.lora_magnitude_vector[adapter].weight.float()
    adapted = weight + change
    return adapted * (magnitude / adapted.norm(dim=1)).unsqueeze(1) - weight


def full_weight(layer: Any) -> Tensor:
    """Return the weight of a linear in fp32, unpacked where it is packed."""
    from peft.utils.integrations import dequantize_bnb_weight, get_bnb_param_type

    if not get_bnb_param_type(layer.weight):
        return layer.weight.detach().float()
    return dequantize_bnb_weight(layer.weight, state=getattr(layer, "state", None)).float()


def set_weight(layer: Any, weight: Tensor) -> None:
    """Replace the weight of a linear, packed as the old one was packed."""
    import bitsandbytes as bnb
    from peft.utils.integrations import get_bnb_param_type

    old = layer.weight
    kind = get_bnb_param_type(old)
    if not kind:
        old.data = weight.to(old.device, old.dtype)
    elif kind == "4bit":
        kwargs = {key: getattr(old, key) for key in ("blocksize", "compress_statistics", "quant_type", "quant_storage")}
        layer.weight = bnb.nn.Params4bit(weight.to("cpu"), requires_grad=False, module=layer, **kwargs).to(old.device)
        layer.weight.quant_state.dtype = old.quant_state.dtype
        layer.quant_state = layer.weight.quant_state
    else:
        layer.weight = bnb.nn.Int8Params(weight.to("cpu"), requires_grad=False).to(old.device)
        layer.state.reset_grads()
        layer.init_8bit_state()


def logit_difference(before: list[Tensor], after: list[Tensor]) -> dict[str, float | int]:
    """Return how far two models' logits (each (tokens, vocabulary) a row of text) lie apart.

    `same_best` is the share of positions at which both find the same token most likely.
    """
    import torch

    first, second = torch.cat(before).float(), torch.cat(after).float()
    apart = (first - second).abs()
    return {
        "positions": len(first),
        "mean": float(apart.mean()),
        "max": float(apart.max()),
        "spread": float(first.std()),
        "same_best": float((first.argmax(-1) == second.argmax(-1)).float().mean()),
    }


def logits_of(model: Any, rows: list[list[int]]) -> list[torch.Tensor]:
    """Return the logits of each row of token ids, (tokens, vocabulary), on the CPU."""
    import torch

    with torch.inference_mode():
        return [model(input_ids=torch.tensor([row], device=model.device)).logits[0].float().cpu() for row in rows]

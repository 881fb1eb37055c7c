"""PiSSA (Meng et al. 2024): the adapter begins as the base's principal singular directions, the base without them.

The base changes, so what is saved is the plain LoRA of twice the rank that gives the same model on the unchanged base:
B A - B0 A0 = [B, -B0] [A; A0]. The beginning (A0, B0) is kept in the run: a resume takes the same away from the base,
where a new decomposition could differ in its last digits.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.modeling.adapters import ADAPTER

if TYPE_CHECKING:
    from peft import PeftModel
    from torch import Tensor

ITERATIONS = 16  # of the randomised SVD, the most that the paper tries; a whole SVD of an 8B model takes an hour


def begin(model: PeftModel, kept: Path) -> None:
    """Turn a fresh LoRA adapter into PiSSA's beginning, in place.

    Args:
        kept: the file that holds the beginning; read where an earlier attempt has written it, else written.
    """
    from safetensors.torch import load_file, save_file

    begun = load_file(kept) if kept.is_file() else None
    for name, module in _layers(model).items():
        if begun is None:
            module.pissa_init(ADAPTER, f"pissa_niter_{ITERATIONS}")
            continue
        down, up = begun[f"{name}.A"], begun[f"{name}.B"]
        module.lora_A[ADAPTER].weight.data.copy_(down)
        module.lora_B[ADAPTER].weight.data.copy_(up)
        base = module.get_base_layer().weight
        taken = module.scaling[ADAPTER] * up.to(base.device) @ down.to(base.device)
        base.data = (base.data.float() - taken).to(base.dtype)
    if begun is None:
        fresh = kept.with_name(f".{kept.name}.new")  # a killed worker must not leave half of it to the next attempt
        save_file(_matrices(model), fresh)
        fresh.replace(kept)


def save_plain(model: PeftModel, folder: Path, kept: Path) -> None:
    """Write the trained adapter as plain LoRA on the unchanged base.

    Args:
        kept: the beginning, as `begin` wrote it.
    """
    import torch
    from peft import get_peft_model_state_dict
    from safetensors.torch import load_file, save_file

    begun = load_file(kept)
    state: dict[str, Tensor] = {}
    for key, tensor in get_peft_model_state_dict(model, adapter_name=ADAPTER).items():
        name, _, which = key.removesuffix(".weight").rpartition(".lora_")
        first = begun[f"{name}.{which}"].to(tensor.device)
        both = [tensor, first] if which == "A" else [tensor, -first]
        state[key] = torch.cat(both, dim=0 if which == "A" else 1).contiguous().cpu()
    config = copy.deepcopy(model.peft_config[ADAPTER])
    config.r, config.lora_alpha, config.inference_mode = config.r * 2, config.lora_alpha * 2, True
    folder.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(folder)
    save_file(state, folder / "adapter_model.safetensors", metadata={"format": "pt"})


def _layers(model: PeftModel) -> dict[str, Any]:
    from peft.tuners.lora import LoraLayer

    return {name: module for name, module in model.named_modules() if isinstance(module, LoraLayer)}


def _matrices(model: PeftModel) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for name, module in _layers(model).items():
        found[f"{name}.A"] = module.lora_A[ADAPTER].weight.detach().cpu().clone()
        found[f"{name}.B"] = module.lora_B[ADAPTER].weight.detach().cpu().clone()
    return found

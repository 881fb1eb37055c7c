"""What trains, by method: a dict from `method.kind` to a function that prepares the loaded base for training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import NotFoundError, ProfileError
from lab.profile.schema import Method

if TYPE_CHECKING:
    import torch
    from peft import PeftModel
    from transformers import PreTrainedModel

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj", "query_key_value", "c_attn")
MLP = ("gate_proj", "up_proj", "down_proj", "gate_up_proj", "fc1", "fc2", "c_fc")
ADAPTER = "default"


def target_modules(model: PreTrainedModel, targets: str | list[str]) -> list[str] | str:
    """Return the module names that carry an adapter, as PEFT takes them.

    Raises:
        ProfileError: the model has none of them.
    """
    if targets == "all-linear":
        return "all-linear"
    present = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    wanted = {"attention": ATTENTION, "mlp": MLP}.get(targets, ()) if isinstance(targets, str) else tuple(targets)
    found = [name for name in wanted if name in present]
    missing = [] if isinstance(targets, str) else [name for name in targets if name not in present]
    if missing or not found:
        projections = sorted(name for name in present if name.endswith(("proj", "fc1", "fc2", "c_attn", "c_fc")))
        raise ProfileError(
            f"method.target_modules: the model has no module {missing or targets!r}.",
            f"Choose from {', '.join(projections)}, or set it to 'all-linear'.",
        )
    return found


def add_lora(model: PreTrainedModel, method: Method, seed: int) -> PeftModel:
    """Return the base with a fresh adapter of `method`, its weights in fp32 and drawn with `seed`.

    Bf16 adapters would lose updates smaller than 1/256 of a weight; AdamW makes them late in a run.
    """
    import torch
    from peft import LoraConfig, TaskType, get_peft_model

    config = LoraConfig(
        r=method.rank,
        lora_alpha=method.alpha,
        lora_dropout=method.dropout,
        target_modules=target_modules(model, method.target_modules),
        bias="none",
        task_type=TaskType.CAUSAL_LM,
    )
    torch.manual_seed(seed)
    adapted = get_peft_model(model, config)
    cast_trainable(adapted, torch.float32)
    return adapted


METHODS: dict[str, Callable[[PreTrainedModel, Method, int], PreTrainedModel | PeftModel]] = {
    "baseline": lambda model, method, seed: model,
    "lora": add_lora,
    "qlora": add_lora,
}


def load_adapter(model: PreTrainedModel, folder: Path, *, trainable: bool = False) -> PeftModel:
    """Return the base with the adapter saved in `folder`.

    Raises:
        NotFoundError: there is no finished adapter.
    """
    from peft import PeftModel

    if not (folder / "adapter_config.json").is_file():
        raise NotFoundError(f"There is no adapter in {folder}.", "Finish or resume the run that makes it.")
    return PeftModel.from_pretrained(model, folder, is_trainable=trainable, autocast_adapter_dtype=False)


def cast_trainable(model: torch.nn.Module, dtype: torch.dtype) -> None:
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(dtype)


def cast_adapter(model: torch.nn.Module, dtype: torch.dtype) -> None:
    """Bring an adapter's weights to `dtype`, frozen or not: answering in the base's own precision spares casts."""
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data = parameter.data.to(dtype)

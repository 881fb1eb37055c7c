"""LoRA and its variants on a loaded base: a fresh adapter, one from files, several at once. Called by `methods`,
`artifact` and `training.stages`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.errors import ProfileError
from lab.profile.schema import Method

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

# By the names of the families that transformers has; the fused ones hold several projections.
ATTENTION = (
    *("q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj"),
    *("out_proj", "Wqkv", "query_key_value", "dense", "c_attn"),
)
MLP = ("gate_proj", "up_proj", "down_proj", "gate_up_proj", "fc1", "fc2", "c_fc", "dense_h_to_4h", "dense_4h_to_h")
GROUPS = {"attention": ATTENTION, "mlp": MLP}
ADAPTER = "default"
"""PEFT's name of the adapter that trains; those that it stands on are `earlier1`, `earlier2` and so on."""


def target_modules(model: PreTrainedModel, targets: str | list[str]) -> list[str] | str:
    """Return the module names that carry an adapter, as PEFT takes them.

    Raises:
        ProfileError: the model has none of them.
    """
    if targets == "all-linear":
        return "all-linear"
    present = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    wanted = GROUPS.get(targets, ()) if isinstance(targets, str) else tuple(targets)
    found = [name for name in wanted if name in present]
    missing = [] if isinstance(targets, str) else [name for name in targets if name not in present]
    if missing or not found:
        projections = sorted(name for name in present if name.endswith("proj") or name in (*ATTENTION, *MLP))
        raise ProfileError(
            f"method.target_modules: the model has no module {missing or targets!r}.",
            f"Choose from {', '.join(projections)}, or set it to 'all-linear'.",
        )
    return found


def lora_config(model: PreTrainedModel, method: Method) -> Any:
    """Return PEFT's configuration of `method`. Raises ProfileError as `target_modules`."""
    from peft import LoraConfig, TaskType

    return LoraConfig(
        r=method.rank,
        lora_alpha=method.alpha,
        lora_dropout=method.dropout,
        target_modules=target_modules(model, method.target_modules),
        use_dora=method.variant == "dora",
        use_rslora=method.variant == "rslora",
        bias="none",
        task_type=TaskType.CAUSAL_LM,
    )


def add_lora(model: Any, method: Method, seed: int) -> PeftModel:
    """Return the model with a fresh adapter of `method`, its weights in fp32 and drawn with `seed`.

    Bf16 adapters would lose updates smaller than 1/256 of a weight; AdamW makes them late in a run. Adapters that
    stand on the model already stay, frozen. PiSSA begins as plain LoRA; `pissa.begin` does the rest.

    Raises:
        ProfileError: no such modules, or a variant that does not work over this base on this device.
    """
    import torch
    from peft import PeftModel, get_peft_model

    if method.variant == "dora" and _int8_on_cpu(model):
        raise int8_dora_error()
    torch.manual_seed(seed)
    if not isinstance(model, PeftModel):
        return get_peft_model(model, lora_config(model, method), adapter_name=ADAPTER)
    model.add_adapter(ADAPTER, lora_config(model.get_base_model(), method))
    return activate(model, trainable=True)


def attach_adapter(model: Any, folder: Path, *, name: str = ADAPTER, trainable: bool = False) -> PeftModel:
    """Return the model with the adapter saved in `folder`, in fp32; adapters that it carries already stay, frozen.

    Raises:
        ProfileError: a variant that does not work over this base on this device.
    """
    from peft import PeftConfig, PeftModel

    if _int8_on_cpu(model) and getattr(PeftConfig.from_pretrained(folder), "use_dora", False):
        raise int8_dora_error()
    if isinstance(model, PeftModel):
        model.load_adapter(folder, name, is_trainable=trainable)
    else:
        model = PeftModel.from_pretrained(model, folder, adapter_name=name, is_trainable=trainable)
    # The saved name is the hub's: with it PEFT would ask the hub for the base's config.json at each save.
    model.peft_config[name].base_model_name_or_path = model.get_base_model().name_or_path
    return activate(model, trainable=trainable)


def int8_dora_error() -> ProfileError:
    """Return the refusal of DoRA over 8-bit weights on a CPU.

    PEFT moves such a weight to where it is in each pass, by which bitsandbytes loses its scales and takes the codes for
    weights.
    """
    return ProfileError("method.variant = 'dora' over an int8 base needs a GPU.", 'Set model.quantization to "nf4".')


def _int8_on_cpu(model: Any) -> bool:
    import torch

    return any(p.dtype == torch.int8 and p.device.type == "cpu" for p in model.parameters())


def activate(model: PeftModel, *, trainable: bool) -> PeftModel:
    """Let all adapters of the model take part; of their weights those of `ADAPTER` train, or none."""
    names = sorted(model.peft_config, key=lambda name: name != ADAPTER)  # PEFT saves and counts by the first
    model.base_model.set_adapter(names)
    model.active_adapter = names[0]
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.requires_grad_(trainable and f".{ADAPTER}" in name)
    return model


def check_continued(model: PeftModel, method: Method, run: str) -> None:
    """Refuse to train an adapter on under a profile that describes another one.

    Args:
        run: the one that trained it.

    Raises:
        ProfileError: rank, alpha, variant or targets differ.
    """
    there, asked = model.peft_config[ADAPTER], lora_config(model.get_base_model(), method)
    variant = "dora" if there.use_dora else "rslora" if there.use_rslora else "lora"
    pairs: dict[str, tuple[Any, Any]] = {
        "method.rank": (there.r, method.rank),
        "method.alpha": (there.lora_alpha, method.alpha),
        "method.variant": (variant, method.variant),
    }
    if isinstance(asked.target_modules, set):
        pairs["method.target_modules"] = (sorted(there.target_modules), sorted(asked.target_modules))
    for key, (found, wanted) in pairs.items():
        if found != wanted:
            raise ProfileError(
                f"The adapter of {run} has {key} = {found!r}, and the profile says {wanted!r}.",
                f"Set {key} to {found!r}, or model.adapter_mode to 'stack' or 'merge'.",
            )

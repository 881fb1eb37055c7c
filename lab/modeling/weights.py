"""Weights of the base that trained (top-layer, full): saved and loaded by name, in files of their own.

Also the trainer's checkpoints of these methods, and of an adapter beside frozen ones: PEFT would store all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.errors import ProfileError

if TYPE_CHECKING:
    import torch

PATTERN = "trained{suffix}.safetensors"
SHARD = "5GB"


def trained_tensors(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return what trains by name; a weight that two modules share (a tied head) comes once."""
    return {name: p.data for name, p in model.named_parameters() if p.requires_grad}


def is_plain_adapter(model: Any) -> bool:
    """Tell whether what trains is a PEFT adapter with no frozen one beside it."""
    return len(getattr(model, "peft_config", ())) == 1


def save_trained(model: torch.nn.Module, folder: Path, dtype: torch.dtype | None = None) -> None:
    """Write what trains to `folder`, in shards where it is large.

    Args:
        dtype: what floating-point weights are rounded to; None keeps them, as a checkpoint must.
    """
    from huggingface_hub import save_torch_state_dict

    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: t.to("cpu", dtype or t.dtype).contiguous() for name, t in trained_tensors(model).items()}
    save_torch_state_dict(tensors, folder, filename_pattern=PATTERN, max_shard_size=SHARD)


def compute_dtype(model: Any) -> torch.dtype:
    """Return the precision in which the model was loaded, whatever its trained weights are in now."""
    import torch

    dtype = getattr(model.config, "dtype", None)
    return dtype if isinstance(dtype, torch.dtype) else next(model.parameters()).dtype


def load_weights(model: Any, files: Iterable[Path], *, trainable: bool = False) -> Any:
    """Put the weights in `files` into `model` in place and return it; packed ones are packed anew.

    Raises:
        ProfileError: a name or a shape that the model does not have.
    """
    from lab.modeling.merge import set_weight

    modules = dict(model.named_modules())
    for name, tensor in _tensors(files):
        parent, _, leaf = name.rpartition(".")
        parameter = getattr(modules.get(parent), leaf, None)
        if parameter is None or _shape(parameter) != tuple(tensor.shape):
            raise ProfileError(
                f"The trained weight {name} {tuple(tensor.shape)} does not fit the model.",
                "Set model.name to the model that it was trained from.",
            )
        if leaf == "weight" and hasattr(modules[parent], "in_features"):
            set_weight(modules[parent], tensor)
        else:
            parameter.data = tensor.to(parameter.device, parameter.dtype)
        if trainable:
            getattr(modules[parent], leaf).requires_grad_(True)
    return model


def load_checkpoint(model: torch.nn.Module, folder: Path) -> None:
    """Bring what trains in `model` to the state of a checkpoint that `save_trained` wrote.

    Raises:
        ProfileError: the checkpoint holds other weights than those that train now.
    """
    now = trained_tensors(model)
    saved = set()
    for name, tensor in _tensors(sorted(folder.glob("trained*.safetensors"))):
        if name not in now or now[name].shape != tensor.shape:
            raise ProfileError(f"{folder.name} holds {name}, which does not train now.", "Start the run anew.")
        now[name].copy_(tensor)
        saved.add(name)
    if missing := sorted(now.keys() - saved):
        raise ProfileError(f"{folder.name} lacks {missing[0]}.", "Start the run anew.")


def _tensors(files: Iterable[Path]) -> Iterator[tuple[str, torch.Tensor]]:
    from safetensors import safe_open

    for path in files:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118  no dictionary
                yield name, file.get_tensor(name)


def _shape(parameter: Any) -> tuple[int, ...]:
    state = getattr(parameter, "quant_state", None)
    return tuple(state.shape if state is not None else parameter.shape)

"""The device that a run would get if it began now: for `lab plan` and the speed estimate, which wait in no queue."""

from __future__ import annotations

from lab.errors import LabError
from lab.launching.devices import refuse_too_few, usable_gpus
from lab.modeling.cpu import limit_cpu
from lab.modeling.hardware import Hardware, detect, physical_cores
from lab.profile.schema import Profile


def hardware_for(profile: Profile) -> Hardware:
    """Return the first usable GPU, or the CPU where there is none or none is asked for.

    Whoever computes on the CPU calls `limit_cpu` before torch is imported; here it is for the word on bf16.

    Raises:
        LabError: there are fewer GPUs than the profile asks for, or torch cannot use them.
    """
    gpus = usable_gpus() if profile.launch.gpus else []
    if not gpus:
        limit_cpu()
        return detect("cpu", threads_each(profile, "cpu"))
    refuse_too_few(min(profile.launch.gpus, profile.ranks), len(gpus))
    import torch

    if not torch.cuda.is_available():
        raise LabError(
            "There is a GPU, but torch cannot use it.", "See `lab doctor`, or set launch.gpus = 0 to train on the CPU."
        )
    return detect("cuda", profile.train.threads)


def threads_each(profile: Profile, kind: str) -> int:
    """Return the CPU threads that the profile asks for, or the share of each process where several train on the CPU;
    0 leaves it at the usual."""
    shared = kind == "cpu" and profile.ranks > 1
    return profile.train.threads or (max(1, physical_cores() // profile.ranks) if shared else 0)

"""Peak memory of the training phase, in the measure that the device offers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

_PEAK_RESET = "5"  # proc_pid_clear_refs(5): the peak of the resident set starts anew


def start_peak(device: str) -> tuple[str, Callable[[], int | None]]:
    """Begin to watch the peak; return what it measures and a function that reads it in bytes.

    On a GPU it is what torch allocated; on a CPU the process's resident set.
    """
    if device == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()
        return "torch allocated", lambda: int(torch.cuda.max_memory_allocated())
    try:
        Path("/proc/self/clear_refs").write_text(_PEAK_RESET)
    except OSError:  # no Linux, or a kernel without it: the peak then counts from the process's start
        pass
    return "resident set", _resident_peak


def _resident_peak() -> int | None:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)


def reserved_bytes(device: str) -> int | None:
    """Return the most that torch's allocator held of the GPU; None on a CPU."""
    if device != "cuda":
        return None
    import torch

    return int(torch.cuda.max_memory_reserved())

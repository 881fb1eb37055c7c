"""Memory of the training phase: its peak in the measure that the device offers, what is free, and running out."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

from lab.telemetry.host import peak_bytes

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
    return "resident set", peak_bytes


def reserved_bytes(device: str) -> int | None:
    """Return the most that torch's allocator held of the GPU; None on a CPU."""
    if device != "cuda":
        return None
    import torch

    return int(torch.cuda.max_memory_reserved())


def room(device: str) -> int:
    """Return the bytes that this process may take in all: what it holds already, and what nobody else uses."""
    if device == "cuda":
        import torch

        free, _ = torch.cuda.mem_get_info()
        return int(free) + int(torch.cuda.memory_reserved())
    import psutil

    from lab.telemetry.limits import usable_bytes

    resident = int(psutil.Process().memory_info().rss)
    return min(usable_bytes(), resident + int(psutil.virtual_memory().available))


def ran_out(error: BaseException) -> bool:
    """Tell whether memory is what `error` is about: torch says so by type on a GPU, by text elsewhere."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    signs = ("DefaultCPUAllocator", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in signs)


def let_go(device: str) -> None:
    """Give back what no tensor holds any more, so that what follows finds it."""
    gc.collect()
    if device == "cuda":
        import torch

        torch.cuda.empty_cache()

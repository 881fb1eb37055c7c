"""NVIDIA's management library, asked field by field: what a GPU or its driver does not tell is None."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lab.text import sanitize


@dataclass(frozen=True)
class GpuProcess:
    """A process with a compute context on a GPU; `used_bytes` is None where the driver keeps it to itself."""

    pid: int
    used_bytes: int | None


class Nvml:
    """An initialised NVML. `library` is the `pynvml` module."""

    def __init__(self, library: Any) -> None:
        self.library = library
        # The second is no subclass of the first: an old driver without the version of a function that was called.
        self._refusals = (library.NVMLError, library.NVMLLibraryMismatchError)

    def ask(self, function: str, *arguments: Any) -> Any:
        """Return what the library's `function` returns, None where the GPU, the driver or pynvml cannot answer."""
        call = getattr(self.library, function, None)
        if call is None:
            return None
        try:
            return call(*arguments)
        except self._refusals:
            return None

    def close(self) -> None:
        self.ask("nvmlShutdown")


def open_nvml() -> Nvml | None:
    """Load and initialise NVML; None, at once and quietly, where there is no NVIDIA driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return Nvml(pynvml)


def uuid(nvml: Nvml, handle: Any) -> str:
    return sanitize(str(nvml.ask("nvmlDeviceGetUUID", handle) or ""), newlines=False, limit=80)


def name(nvml: Nvml, handle: Any) -> str:
    return sanitize(str(nvml.ask("nvmlDeviceGetName", handle) or "GPU"), newlines=False, limit=80)


def memory(nvml: Nvml, handle: Any) -> tuple[int | None, int | None]:
    """Return (used, total) bytes, as `nvidia-smi` shows them: without what the driver reserves, where it says so."""
    version = getattr(nvml.library, "nvmlMemory_v2", None)
    info = nvml.ask("nvmlDeviceGetMemoryInfo", handle, version) or nvml.ask("nvmlDeviceGetMemoryInfo", handle)
    return (None, None) if info is None else (int(info.used), int(info.total))


def celsius(nvml: Nvml, handle: Any) -> int | None:
    sensor = nvml.library.NVML_TEMPERATURE_GPU
    found = nvml.ask("nvmlDeviceGetTemperatureV", handle, sensor)
    if found is None:  # drivers and pynvml before 2025 have the older call only
        found = nvml.ask("nvmlDeviceGetTemperature", handle, sensor)
    return None if found is None else int(found)


def processes(nvml: Nvml, handle: Any) -> tuple[GpuProcess, ...] | None:
    """Return the compute processes on a GPU, in the PID numbers of the driver's own namespace."""
    found = nvml.ask("nvmlDeviceGetComputeRunningProcesses", handle)
    if found is None:
        return None
    return tuple(GpuProcess(int(p.pid), None if p.usedGpuMemory is None else int(p.usedGpuMemory)) for p in found)


def handles(nvml: Nvml) -> Iterator[tuple[int, Any]]:
    """Yield (index, handle) of each GPU, in PCI order."""
    for index in range(nvml.ask("nvmlDeviceGetCount") or 0):
        handle = nvml.ask("nvmlDeviceGetHandleByIndex", index)
        if handle is not None:
            yield index, handle


def instances(nvml: Nvml, handle: Any) -> Iterator[Any]:
    """Yield the handles of a GPU's MIG instances; none where MIG is off."""
    mode = nvml.ask("nvmlDeviceGetMigMode", handle)
    if not mode or not mode[0]:
        return
    for index in range(nvml.ask("nvmlDeviceGetMaxMigDeviceCount", handle) or 0):
        instance = nvml.ask("nvmlDeviceGetMigDeviceHandleByIndex", handle, index)
        if instance is not None:
            yield instance


def attribute(found: Sequence[GpuProcess] | None, pids: Collection[int]) -> tuple[int | None, int | None]:
    """Split a GPU's processes into ours and strangers: (bytes of `pids`, number of the others).

    In a container the driver may give the host's PIDs. Then ours are among numbers that mean nothing here, and neither
    figure is known.
    """
    if found is None:
        return None, None
    ours = [process.used_bytes for process in found if process.pid in pids]
    others = [process.pid for process in found if process.pid not in pids]
    if not ours and not all(_exists(pid) for pid in others):
        return None, None
    known = [size for size in ours if size is not None]
    return (sum(known) if pids and len(known) == len(ours) else None), len(others)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:  # somebody else's
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True

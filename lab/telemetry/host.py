"""What the machine itself does: processor, memory, disk, and the memory of a run's own processes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class HostSample:
    """The machine at one moment.

    Attributes:
        process_bytes: resident memory of the watched process and its descendants; None once it is gone.
        cpu_percent: of all processors together, 0 to 100, since the sample before; None in the first.
        memory_used_bytes, memory_total_bytes: of the machine.
        pids: of the watched process and its descendants.
    """

    process_bytes: int | None
    cpu_percent: float | None
    memory_used_bytes: int
    memory_total_bytes: int
    pids: frozenset[int]


class HostProbe:
    """Looks at the machine and at process `pid`. Use one from one thread: psutil keeps the last look for each."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._primed = False

    def sample(self) -> HostSample:
        tree = process_tree(self._pid)
        memory = psutil.virtual_memory()
        return HostSample(
            process_bytes=_resident(tree),
            cpu_percent=self._cpu_percent(),
            memory_used_bytes=memory.used,
            memory_total_bytes=memory.total,
            pids=frozenset(process.pid for process in tree),
        )

    def _cpu_percent(self) -> float | None:
        percent = psutil.cpu_percent(interval=None)
        if not self._primed:  # nothing to compare with yet: psutil says 0.0
            self._primed = True
            return None
        return percent


def process_tree(pid: int) -> list[psutil.Process]:
    """Return process `pid` and its descendants; empty once it is gone."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _resident(tree: Iterable[psutil.Process]) -> int | None:
    """Return the resident memory of processes, None once all are gone; pages that several share count for each."""
    sizes = [size for size in map(_size, tree) if size is not None]
    return sum(sizes) if sizes else None


def peak_bytes() -> int | None:
    """Return the largest resident set that this program had, None where the system does not tell (it is not Linux).

    Not `ru_maxrss`: Linux keeps that across `exec`, so a child would start with the peak of whoever forked it.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    kib = next((line.split()[1] for line in lines if line.startswith("VmHWM:")), None)
    return None if kib is None else int(kib) * 1024


def _size(process: psutil.Process) -> int | None:
    try:
        return int(process.memory_info().rss)
    except (psutil.NoSuchProcess, psutil.AccessDenied):  # it ended since it was listed
        return None


def load_average() -> float | None:
    """Return the mean number of processes that ran or waited over the last minute, None where the system has none."""
    try:
        return os.getloadavg()[0]
    except OSError:
        return None


def disk_free(path: Path) -> int | None:
    """Return the bytes that an ordinary user may still write at `path`, or where it would be made."""
    for folder in (path, *path.absolute().parents):
        try:
            return int(psutil.disk_usage(str(folder)).free)
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None

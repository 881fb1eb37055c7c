"""The machine, for the System page: GPUs with their history and processes, processor, memory, disk.

Called by the feed's thread, only while the page is shown; at most one look a second.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from lab.console.rows import RunRow
from lab.runs import lock
from lab.telemetry.devices import Gpu, list_gpus
from lab.telemetry.gpu import GpuProbe, GpuSample
from lab.telemetry.host import HostProbe, disk_free, load_average
from lab.text import sanitize

LOOK_SECONDS = 1.0
KEPT = 120


@dataclass(frozen=True)
class Process:
    """A process on a GPU, or the worker of a run. `used_bytes` is of the GPU, else resident; None where unknown."""

    pid: int
    owner: str
    name: str
    run: str
    used_bytes: int | None


@dataclass(frozen=True)
class GpuView:
    """One GPU now and over the last two minutes: `watts` and `load` hold one value a look."""

    index: int
    name: str
    sample: GpuSample
    watts: tuple[float, ...]
    load: tuple[float, ...]
    processes: tuple[Process, ...]


@dataclass(frozen=True)
class System:
    """The machine at one moment. `cpu` is the history of its load in percent."""

    gpus: tuple[GpuView, ...] = ()
    cpu_percent: float | None = None
    cpu: tuple[float, ...] = ()
    cores: int | None = None
    load: float | None = None
    memory_used: int = 0
    memory_total: int = 0
    memory: tuple[float, ...] = ()
    disk_free: int | None = None
    workers: tuple[Process, ...] = ()


class SystemReader:
    """Looks at the machine; keeps NVML open and the history of what it saw."""

    def __init__(self, root: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._root = root
        self._clock = clock
        self._host = HostProbe(os.getpid())
        self._probe: GpuProbe | None = None
        self._histories: dict[str, deque[float]] = {}
        self._looked = float("-inf")
        self._system = System()

    def read(self, rows: Sequence[RunRow]) -> System:
        """Return the machine as it is; the last look where that was less than a second ago."""
        if self._clock() - self._looked < LOOK_SECONDS:
            return self._system
        self._looked = self._clock()
        runs = dict(pair for row in rows if row.live and (pair := _worker(row)) is not None)
        host = self._host.sample()
        self._system = System(
            gpus=self._gpus(runs),
            cpu_percent=host.cpu_percent,
            cpu=self._history("cpu", host.cpu_percent),
            cores=psutil.cpu_count(),
            load=load_average(),
            memory_used=host.memory_used_bytes,
            memory_total=host.memory_total_bytes,
            memory=self._history("memory", host.memory_used_bytes / max(host.memory_total_bytes, 1)),
            disk_free=disk_free(self._root),
            workers=tuple(_process(pid, run, _resident(pid)) for pid, run in runs.items()),
        )
        return self._system

    def _gpus(self, runs: dict[int, str]) -> tuple[GpuView, ...]:
        self._probe = self._probe or GpuProbe()
        known = {gpu.uuid: gpu for gpu in list_gpus()}
        samples = self._probe.sample()
        return tuple(self._gpu(sample, known.get(sample.uuid), runs) for sample in samples)

    def _gpu(self, sample: GpuSample, gpu: Gpu | None, runs: dict[int, str]) -> GpuView:
        found = (gpu.processes if gpu is not None else None) or ()
        return GpuView(
            index=gpu.index if gpu is not None else 0,
            name=sample.name,
            sample=sample,
            watts=self._history(f"{sample.uuid} watts", sample.watts),
            load=self._history(f"{sample.uuid} load", sample.utilization),
            processes=tuple(_process(p.pid, _run_of(p.pid, runs), p.used_bytes) for p in found),
        )

    def _history(self, name: str, value: float | None) -> tuple[float, ...]:
        history = self._histories.setdefault(name, deque(maxlen=KEPT))
        if value is not None:
            history.append(float(value))
        return tuple(history)


def _worker(row: RunRow) -> tuple[int, str] | None:
    """Return (process, title) of the worker of a living run on this host."""
    who = lock.holder(row.run.lock)
    if who is None or who.boot_id != lock.boot_id() or lock.start_ticks(who.pid) != who.start_ticks:
        return None
    return who.pid, row.title


def _run_of(pid: int, runs: dict[int, str]) -> str:
    """Return the run to which a process belongs: its own worker's, or that of a parent."""
    try:
        family = [pid, *(parent.pid for parent in psutil.Process(pid).parents())]
    except psutil.Error:
        family = [pid]
    return next((runs[member] for member in family if member in runs), "")


def _process(pid: int, run: str, used: int | None) -> Process:
    try:
        process = psutil.Process(pid)
        owner, name = process.username(), process.name()
    except psutil.Error:  # gone, or out of sight in another namespace
        owner, name = "-", "-"
    return Process(pid, sanitize(owner, newlines=False, limit=24), sanitize(name, newlines=False, limit=40), run, used)


def _resident(pid: int) -> int | None:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return None

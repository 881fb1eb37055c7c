"""The thread in a worker that writes `telemetry.jsonl`: one line a second for as long as the worker lives."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lab.errors import OutOfSpaceError
from lab.runs.appendlog import AppendLog
from lab.telemetry.gpu import GpuProbe
from lab.telemetry.host import HostProbe

SCHEMA = 1
SHARE = 0.05  # of the interval that a look may take
LONGEST = 4.0  # seconds; energy takes a gap of more than five for an interruption
PATIENCE = 5  # looks in a row that must be slow before the interval grows
STOP_SECONDS = 10.0  # how long a driver that hangs may hold up the worker's end


class Sampler:
    """Samples the GPUs and the host from a daemon thread, and never stops the run that it watches.

    Args:
        path: of the file, to which lines are appended.
        pid: whose processes are the run's own.
        gpu_indices: as in `GpuProbe`: None for all visible GPUs, none of them for a run on the CPU.
        interval: seconds from sample to sample; longer where a look takes more than a twentieth of that.
        attempt: stamped on each line.
        visible: as in `GpuProbe`.

    Attributes:
        error: why sampling ended early (the disk is full), else None.
    """

    def __init__(
        self,
        path: Path,
        pid: int,
        gpu_indices: Sequence[int] | None = None,
        interval: float = 1.0,
        *,
        attempt: int = 1,
        visible: str | None = None,
    ) -> None:
        self.error: str | None = None
        self._path = path
        self._pid = pid
        self._gpu_indices = gpu_indices
        self._interval = interval
        self._attempt = attempt
        self._visible = visible
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)

    def start(self) -> None:
        """Begin; the first sample is taken at once."""
        self._thread.start()

    def narrow(self, visible: str) -> None:
        """Watch these GPUs alone from the next sample on; `visible` as in `GpuProbe`."""
        self._visible = visible

    def stop(self) -> None:
        """Take a last sample, so that the energy has its end, and wait until it is written."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        try:
            with contextlib.closing(AppendLog(self._path)) as log:
                host, visible = HostProbe(self._pid), self._visible
                while not self._ended(log, host, visible):
                    visible = self._visible
        except (OSError, OutOfSpaceError) as error:
            self.error = str(error)

    def _ended(self, log: AppendLog, host: HostProbe, visible: str | None) -> bool:
        """Sample the `visible` GPUs; return True at the end, and False where others are to be watched."""
        with contextlib.closing(GpuProbe(self._gpu_indices, visible)) as gpus:
            return self._loop(log, gpus, host, visible)

    def _loop(self, log: AppendLog, gpus: GpuProbe, host: HostProbe, visible: str | None) -> bool:
        looks: deque[float] = deque([0.0] * PATIENCE, maxlen=PATIENCE)
        deadline = time.monotonic()
        while True:
            last = self._stopping.is_set()
            began = time.monotonic()
            log.append(self._record(gpus, host))
            if last or visible != self._visible:
                return last
            now = time.monotonic()
            looks.append(now - began)
            deadline = next_deadline(deadline, paced_interval(self._interval, looks), now)
            self._stopping.wait(deadline - now)

    def _record(self, gpus: GpuProbe, host: HostProbe) -> dict[str, Any]:
        machine = host.sample()
        return {
            "schema": SCHEMA,
            "t": time.time(),
            "attempt": self._attempt,
            "gpus": [sample.record() for sample in gpus.sample(machine.pids)] or None,
            "process_bytes": machine.process_bytes,
            "cpu_percent": machine.cpu_percent,
            "memory_used_bytes": machine.memory_used_bytes,
            "memory_total_bytes": machine.memory_total_bytes,
        }


def paced_interval(base: float, looks: Iterable[float]) -> float:
    """Return the seconds between samples at which even the quickest of the last `looks` stays within its share.

    One slow look proves nothing: the interpreter may have been held by an import.
    """
    return max(base, min(min(looks) / SHARE, LONGEST))


def next_deadline(last: float, interval: float, now: float) -> float:
    """Return the next whole multiple of `interval` after `last` that is yet to come: no drift, and no catching up."""
    return last + interval * max(1, math.floor((now - last) / interval) + 1)

"""The telemetry of one run as columns of numbers, followed by byte offset. Called by the feed's thread.

The x of every column is time at work in seconds: a pause between two attempts takes no room, and breaks the lines.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lab.console.charts import GAP_SECONDS, nearest
from lab.console.curves import BREATH_SECONDS, CHUNK
from lab.console.turns import give_way
from lab.jsonio import as_float
from lab.runs.paths import RunPaths
from lab.runs.reader import Tail
from lab.series.columns import Columns
from lab.telemetry.energy import energy

COLUMNS = ("watts", "gpu_bytes", "utilization", "celsius", "process_bytes", "cpu_percent", "memory_used_bytes")
PAUSE = 1.0


class RunMeters:
    """Power, memory and load of one run.

    Attributes:
        columns: by the names in COLUMNS; those of several GPUs are summed, their load averaged, their heat the highest.
        last: the newest sample's numbers, None for what was not measured.
        limit_watts, gpu_total_bytes, memory_total_bytes: the newest limits, None where nothing tells them.
        joules: drawn by the GPUs in all attempts; None while nothing was measured.
    """

    def __init__(self, run: RunPaths) -> None:
        self.tail = Tail(run.telemetry)
        self.columns = {name: Columns() for name in COLUMNS}
        self.last: dict[str, float | None] = dict.fromkeys(COLUMNS)
        self.limit_watts: float | None = None
        self.gpu_total_bytes: float | None = None
        self.memory_total_bytes: float | None = None
        self.joules: float | None = None
        self.has_gpu = False
        self.x = 0.0
        self._clock = Columns()
        self._sample: Mapping[str, Any] | None = None
        self._t: float | None = None

    def read(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> bool:
        """Take in what was appended, for at most about `seconds`; tell whether anything was."""
        deadline = clock() + seconds
        changed = False
        while samples := self.tail.read(CHUNK):
            self.add(samples)
            changed = True
            if clock() >= deadline:
                break
            give_way(BREATH_SECONDS)
        return changed

    def add(self, samples: list[dict[str, Any]]) -> None:
        known = [sample for sample in samples if _time(sample) is not None]
        for sample in known:
            self._add(sample)
        drawn = energy([*([self._sample] if self._sample else []), *known], -math.inf, math.inf)
        if drawn is not None:
            self.joules = (self.joules or 0.0) + drawn.joules
        self._sample = known[-1] if known else self._sample

    def _add(self, sample: Mapping[str, Any]) -> None:
        t = _time(sample) or 0.0
        passed = 0.0 if self._t is None else t - self._t
        paused = passed > GAP_SECONDS or passed < 0
        self.x += PAUSE if paused else passed
        self._t = t
        self._clock.append(t, self.x)
        gpus = [gpu for gpu in sample.get("gpus") or [] if isinstance(gpu, Mapping)]
        self.has_gpu = self.has_gpu or bool(gpus)
        self.last = numbers(sample, gpus)
        for name, value in self.last.items():
            if paused and len(self.columns[name]):
                self.columns[name].append(self.x - PAUSE / 2, math.nan)
            self.columns[name].append(self.x, value)
        self.limit_watts = total(gpu.get("limit_watts") for gpu in gpus)
        self.gpu_total_bytes = total(gpu.get("total_bytes") for gpu in gpus)
        self.memory_total_bytes = as_float(sample.get("memory_total_bytes"))

    def near(self, t: float | None) -> dict[str, float | None]:
        """Return the numbers of the samples closest to the moment `t` (Unix seconds); None for what is not known."""
        found = {name: None if t is None else nearest(column, self.at(t)) for name, column in self.columns.items()}
        return {name: y if y is not None and math.isfinite(y) else None for name, y in found.items()}

    def at(self, t: float) -> float:
        """Return the x that belongs to the moment `t` (Unix seconds)."""
        index = bisect_left(self._clock.x, t)
        return self._clock.y[min(index, len(self._clock) - 1)] if len(self._clock) else 0.0


def numbers(sample: Mapping[str, Any], gpus: list[Mapping[str, Any]]) -> dict[str, float | None]:
    """Return the numbers of one sample by the names in COLUMNS."""
    load = [value for value in (as_float(gpu.get("utilization")) for gpu in gpus) if value is not None]
    heat = [value for value in (as_float(gpu.get("celsius")) for gpu in gpus) if value is not None]
    return {
        "watts": total(gpu.get("watts") for gpu in gpus),
        "gpu_bytes": total(gpu.get("used_bytes") for gpu in gpus),
        "utilization": sum(load) / len(load) if load else None,
        "celsius": max(heat, default=None),
        "process_bytes": as_float(sample.get("process_bytes")),
        "cpu_percent": as_float(sample.get("cpu_percent")),
        "memory_used_bytes": as_float(sample.get("memory_used_bytes")),
    }


def total(values: Iterable[Any]) -> float | None:
    """Return the sum of what was measured, None where nothing was."""
    found = [number for number in map(as_float, values) if number is not None]
    return sum(found) if found else None


def _time(sample: Mapping[str, Any]) -> float | None:
    t = as_float(sample.get("t"))
    return t if t is not None and math.isfinite(t) else None

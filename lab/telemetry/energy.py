"""Energy out of telemetry: what the GPUs of a run drew within a stretch of time.

Called by the worker for its summary, by compare, and by the live view as the run goes on.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from lab.jsonio import as_float

LONGEST_GAP = 5.0  # seconds; over a longer one nobody measured, and the GPU may not have been ours
Window = tuple[float, float]


@dataclass(frozen=True)
class Energy:
    """What all GPUs of a run drew together.

    Attributes:
        seconds: how much of the time asked for was measured.
        mean_watts: over those seconds.
        peak_watts: the highest sample; None where only counters were read.
        method: "counter" where all of it is the difference of the GPUs' energy counters, else "integrated" power.
        shared: other processes used one of the GPUs meanwhile, and their share is in here.
    """

    joules: float
    wh: float
    seconds: float
    mean_watts: float
    peak_watts: float | None
    method: str
    shared: bool


class _Gpu(NamedTuple):
    joules: float | None
    watts: float | None
    strangers: float


class _Sample(NamedTuple):
    t: float
    attempt: Any
    gpus: dict[str, _Gpu]


def energy(samples: Iterable[Mapping[str, Any]], start: float, end: float) -> Energy | None:
    """Return the energy from `start` to `end` (Unix seconds); None where no power was measured in that time.

    Between neighbouring samples of one attempt the counter, or else the power, is taken as linear; at the edges of the
    time asked for it is cut there.

    Args:
        samples: lines of `telemetry.jsonl`, in order.
    """
    return energy_over(samples, [(start, end)])


def energy_over(samples: Iterable[Mapping[str, Any]], windows: Iterable[Window]) -> Energy | None:
    """Return the energy of several stretches together: a phase that was entered again after each resume."""
    meter = EnergyMeter(windows)
    for sample in samples:
        meter.feed(sample)
    return meter.energy()


class EnergyMeter:
    """Adds up energy sample by sample, for a view that follows a run.

    Args:
        windows: stretches of time (Unix seconds) that count and do not overlap; by default all time.
    """

    def __init__(self, windows: Iterable[Window] = ((-math.inf, math.inf),)) -> None:
        self._windows = list(windows)
        self._before: _Sample | None = None
        self._joules = 0.0
        self._seconds = 0.0
        self._peak: float | None = None
        self._counted = True
        self._shared = False

    def feed(self, sample: Mapping[str, Any]) -> None:
        """Take in the next line of `telemetry.jsonl`; one without a time is passed over."""
        after = _parse(sample)
        if after is None:
            return
        before, self._before = self._before, after
        if before is None or before.attempt != after.attempt or after.t - before.t > LONGEST_GAP:
            return
        for start, end in self._windows:
            low, high = max(before.t, start), min(after.t, end)
            if low < high:  # not where the clock was set back
                self._add(before, after, low, high)

    def _add(self, before: _Sample, after: _Sample, low: float, high: float) -> None:
        """Add what was drawn from `low` to `high`, which lie between two samples."""
        measured = False
        for uuid in before.gpus.keys() & after.gpus.keys():
            one, other = before.gpus[uuid], after.gpus[uuid]
            drawn = _counted(one, other, (high - low) / (after.t - before.t))
            if drawn is None:
                drawn = _integrated(before.t, one, after.t, other, low, high)
                self._counted = self._counted and drawn is None
            if drawn is not None:
                measured = True
                self._joules += drawn
                self._shared = self._shared or one.strangers > 0 or other.strangers > 0
        if measured:
            self._seconds += high - low
            sums = [sum(watts) for watts in (_watts(before, after, t) for t in (low, high)) if watts]
            self._peak = max((peak for peak in (self._peak, *sums) if peak is not None), default=None)

    def energy(self) -> Energy | None:
        """Return what was measured so far, None where nothing was."""
        if self._seconds <= 0:
            return None
        return Energy(
            joules=self._joules,
            wh=self._joules / 3600,
            seconds=self._seconds,
            mean_watts=self._joules / self._seconds,
            peak_watts=self._peak,
            method="counter" if self._counted else "integrated",
            shared=self._shared,
        )


def _parse(sample: Mapping[str, Any]) -> _Sample | None:
    t = as_float(sample.get("t"))
    if t is None:
        return None
    gpus = [gpu for gpu in sample.get("gpus") or [] if isinstance(gpu, Mapping)]
    return _Sample(t, sample.get("attempt"), {str(gpu.get("uuid")): _parse_gpu(gpu) for gpu in gpus})


def _parse_gpu(gpu: Mapping[str, Any]) -> _Gpu:
    return _Gpu(as_float(gpu.get("joules")), as_float(gpu.get("watts")), as_float(gpu.get("strangers")) or 0.0)


def _counted(one: _Gpu, other: _Gpu, share: float) -> float | None:
    """Return `share` of the counters' difference; None without counters, or where one began anew (driver reload)."""
    if one.joules is None or other.joules is None or other.joules < one.joules:
        return None
    return (other.joules - one.joules) * share


def _integrated(t: float, one: _Gpu, later: float, other: _Gpu, low: float, high: float) -> float | None:
    """Return the trapezoid under the power from `low` to `high`; None where an end has no power."""
    if one.watts is None or other.watts is None:
        return None
    return (high - low) * (_between(t, one.watts, later, other.watts, (low + high) / 2))


def _watts(before: _Sample, after: _Sample, t: float) -> list[float]:
    pairs = [(before.gpus[uuid].watts, after.gpus[uuid].watts) for uuid in before.gpus.keys() & after.gpus.keys()]
    return [_between(before.t, one, after.t, two, t) for one, two in pairs if one is not None and two is not None]


def _between(t: float, value: float, later: float, next_value: float, at: float) -> float:
    return value + (next_value - value) * (at - t) / (later - t)

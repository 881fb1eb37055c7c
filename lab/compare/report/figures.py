"""A run's curves as the report draws them: losses by step, power and memory by minutes of work. Called by `gather`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.jsonio import as_float
from lab.runs.history import History, read_history
from lab.runs.paths import RunPaths
from lab.runs.reader import read_all
from lab.series.smooth import smooth
from lab.telemetry.energy import LONGEST_GAP

SMOOTHING = 0.9
FEW = 40
"""Steps up to which a loss is drawn as it is: smoothing would show the smoothing."""


@dataclass(frozen=True)
class Curve:
    """One curve; NaN in `ys` is a gap."""

    xs: list[float] = field(default_factory=list)
    ys: list[float] = field(default_factory=list)

    def __bool__(self) -> bool:
        return any(math.isfinite(y) for y in self.ys)


@dataclass(frozen=True)
class RunCurves:
    """All curves of one run.

    Attributes:
        loss, raw: of training, by step: smoothed for the eye, and as measured.
        validation: by step.
        watts, memory: by minutes of work, all GPUs of the run together; memory in GB, of the GPUs or else the process.
        gpu: whether `memory` is that of GPUs.
    """

    loss: Curve
    raw: Curve
    validation: Curve
    watts: Curve
    memory: Curve
    gpu: bool


def read_curves(run: RunPaths) -> RunCurves:
    """Return the curves of a run folder; what it never measured is an empty curve."""
    history = read_history(run)
    telemetry = list(read_all(run.telemetry))
    raw = _loss(history)
    gpu = any(sample.get("gpus") for sample in telemetry)
    return RunCurves(
        loss=Curve(raw.xs, smooth(raw.ys, SMOOTHING)) if len(raw.ys) > FEW else raw,
        raw=raw,
        validation=Curve([float(step) for step, _ in history.evals], [loss for _, loss in history.evals]),
        watts=_over_time(telemetry, _watts),
        memory=_over_time(telemetry, _gpu_memory if gpu else _process_memory),
        gpu=gpu,
    )


def _loss(history: History) -> Curve:
    known = [(step, loss) for step, loss in zip(history.steps, history.curves["loss"], strict=True) if loss is not None]
    return Curve([float(step) for step, _ in known], [loss for _, loss in known])


def _over_time(telemetry: Iterable[Mapping[str, Any]], read: Callable[[Mapping[str, Any]], float | None]) -> Curve:
    """Return what `read` finds in each sample, over minutes of work: pauses between attempts take no time."""
    curve, worked, before = Curve(), 0.0, None
    for sample in telemetry:
        t = as_float(sample.get("t"))
        value = read(sample)
        if t is None or value is None:
            continue
        gap = t - before if before is not None else 0.0
        if 0 <= gap <= LONGEST_GAP:
            worked += gap
        elif curve.xs:
            curve.xs.append(worked / 60)
            curve.ys.append(math.nan)
        before = t
        curve.xs.append(worked / 60)
        curve.ys.append(value)
    return curve


def _watts(sample: Mapping[str, Any]) -> float | None:
    return _sum(sample, "watts")


def _gpu_memory(sample: Mapping[str, Any]) -> float | None:
    """Return the run's own bytes on its GPUs in GB, all bytes in use where the driver tells no process's share."""
    own = _sum(sample, "process_bytes")
    used = own if own else _sum(sample, "used_bytes")
    return None if used is None else used / 1e9


def _process_memory(sample: Mapping[str, Any]) -> float | None:
    resident = as_float(sample.get("process_bytes"))
    return None if resident is None else resident / 1e9


def _sum(sample: Mapping[str, Any], key: str) -> float | None:
    found = [value for gpu in sample.get("gpus") or [] if (value := as_float(gpu.get(key))) is not None]
    return sum(found) if found else None

"""One run as the Live page shows it: a frozen value, made by the feed's thread out of the run's curves and meters."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from lab.console.charts import Chart, nearest
from lab.console.curves import RunCurves
from lab.console.livecharts import live_charts
from lab.console.meters import RunMeters
from lab.console.notes import Note, newest_notes
from lab.console.request import View
from lab.console.rows import RunRow
from lab.runs.paths import RunPaths

BUDGET_SECONDS = 0.08
CHART_SECONDS = 1.0
QUIET_SECONDS = 120.0


@dataclass(frozen=True)
class Live:
    """What is known of a run at one moment.

    Attributes:
        phase, detail: where the newest attempt is, and its line for people.
        loss, smoothed, lr, grad_norm, meters: of the newest step, or of the cursor's.
        tokens_per_second: over the last steps, or of the cursor's alone.
        wh: up to now.
        cursor: the step that they belong to, None for the newest.
        quiet: seconds without an event in a run that should be stepping, in whole minutes; else None.
        read_share: the part of the event log that was read so far.
        short_id: what names the run to every command.
        hint: why the view cannot be what was asked for.
        sizes: at which the charts are drawn already.
    """

    row: RunRow
    phase: str = ""
    detail: str = ""
    step: int = 0
    total: int | None = None
    loss: float | None = None
    smoothed: float | None = None
    eval_loss: float | None = None
    lr: float | None = None
    grad_norm: float | None = None
    tokens_per_second: float | None = None
    eta: float | None = None
    wh: float | None = None
    meters: tuple[tuple[str, float | None], ...] = ()
    limit_watts: float | None = None
    memory_total: float | None = None
    has_gpu: bool = False
    cursor: int | None = None
    charts: tuple[Chart, ...] = ()
    notes: tuple[Note, ...] = ()
    quiet: int | None = None
    read_share: float = 1.0
    short_id: str = ""
    hint: str = ""
    sizes: tuple[tuple[str, int, int], ...] = ()

    @property
    def share(self) -> float | None:
        return min(self.step / self.total, 1.0) if self.total else None

    @property
    def measured(self) -> bool:
        """Whether any telemetry was read."""
        return any(value is not None for _, value in self.meters)

    def meter(self, name: str) -> float | None:
        return dict(self.meters).get(name)


class LiveReader:
    """Follows one run; charts are made anew at most once a second, or when the view changes."""

    def __init__(self, run: RunPaths, clock: Callable[[], float] = time.time) -> None:
        self.run = run
        self.curves = RunCurves(run)
        self.meters = RunMeters(run)
        self._clock = clock
        self._charts: tuple[Chart, ...] = ()
        self._view: View | None = None
        self._drawn = float("-inf")
        self._dirty = True

    def read(self) -> bool:
        """Take in new events and samples within a bounded time; tell whether some are left for the next call."""
        events = self.curves.read(BUDGET_SECONDS)
        samples = self.meters.read(BUDGET_SECONDS)
        self._dirty = self._dirty or events or samples
        return self.curves.read_share < 1.0 and events

    def live(self, row: RunRow, view: View) -> Live:
        """Return what is known of the run now."""
        curves, meters = self.curves, self.meters
        history, smoothed = curves.history, curves.smoothed.follow(view.smoothing)
        step = curves.step if view.cursor is None else view.cursor
        phase = None if row.state == "queued" and not row.alive else history.phase  # it waits for Slurm (again)
        return Live(
            row=row,
            phase=phase.name if phase is not None else row.state,
            detail=phase.detail if phase is not None else row.detail,
            step=curves.step or row.step,
            total=row.total,
            loss=nearest(curves.columns["loss"], step),
            smoothed=nearest(smoothed, step) if view.smoothing else None,
            eval_loss=_newest_eval(history.evals, view.cursor),
            lr=nearest(curves.columns["lr"], step),
            grad_norm=nearest(curves.columns["grad_norm"], step),
            tokens_per_second=curves.tokens_per_second() if view.cursor is None else nearest(curves.pace, step),
            eta=curves.eta(row.total) if row.live and history.end is None else None,
            wh=None if meters.joules is None else meters.joules / 3600,
            meters=tuple((meters.last if view.cursor is None else meters.near(nearest(curves.times, step))).items()),
            limit_watts=meters.limit_watts,
            memory_total=meters.gpu_total_bytes if meters.has_gpu else meters.memory_total_bytes,
            has_gpu=meters.has_gpu,
            cursor=view.cursor,
            charts=self._current_charts(row, view),
            notes=newest_notes(history),
            quiet=self._quiet(row),
            read_share=round(curves.read_share, 2),
            hint=_hint(self._charts, view),
        )

    def _current_charts(self, row: RunRow, view: View) -> tuple[Chart, ...]:
        now = time.monotonic()
        if view != self._view or (self._dirty and now - self._drawn >= CHART_SECONDS):
            self._charts = live_charts(self.curves, self.meters, row, view)
            self._view, self._drawn, self._dirty = view, now, False
        return self._charts

    def _quiet(self, row: RunRow) -> int | None:
        """Return how long a run in training has said nothing, in seconds but whole minutes; None where that is well."""
        last = self.curves.history.last_t
        if row.state != "training" or last is None or self._clock() - last < QUIET_SECONDS:
            return None
        return int((self._clock() - last) // 60) * 60


def _newest_eval(evals: list[tuple[int, float]], cursor: int | None) -> float | None:
    return next((loss for step, loss in reversed(evals) if cursor is None or step <= cursor), None)


def _hint(charts: tuple[Chart, ...], view: View) -> str:
    if view.log and any(chart.name == "loss" and not chart.log for chart in charts):
        return "no log axis: no value above zero"
    return ""

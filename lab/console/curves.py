"""The event log of one run as columns of numbers, followed by byte offset: what the Live page's charts are made of.

Called by the feed's thread. Steps go straight into columns; everything else into `runs.history`.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from lab.console.turns import give_way
from lab.jsonio import as_float
from lab.runs.history import CURVES, History
from lab.runs.paths import RunPaths
from lab.runs.reader import Tail
from lab.series.columns import Columns
from lab.series.eta import WINDOW, eta_seconds, tokens_per_second
from lab.series.smooth import Ema

CHUNK = 1 << 17
BREATH_SECONDS = 0.001
"""Between two chunks, so that keys are answered while a long log is read."""


class Smoothed:
    """A column and its moving average, which follows it row by row without looking at old rows again."""

    def __init__(self, source: Columns) -> None:
        self.source = source
        self.weight = 0.0
        self.columns = Columns()
        self._ema = Ema(0.0)

    def follow(self, weight: float) -> Columns:
        """Return the average of the source with `weight`, brought up to date."""
        if weight != self.weight or len(self.columns) > len(self.source):
            self.reset(weight)
        start = len(self.columns)
        self.columns.extend(self.source.x[start:], [self._ema.update(y) for y in self.source.y[start:]])
        return self.columns

    def reset(self, weight: float) -> None:
        self.weight, self.columns, self._ema = weight, Columns(), Ema(weight)

    @property
    def last(self) -> float | None:
        return self._ema.value


class RunCurves:
    """The events of one run.

    Attributes:
        history: phases, evaluations, checkpoints, alerts and the end; its own curves stay empty.
        columns: loss, lr, grad_norm, memory_bytes over steps; `times` holds when each step ended (Unix seconds).
        pace: tokens a second of each step alone.
        skipped: events that made no sense.
    """

    def __init__(self, run: RunPaths) -> None:
        self.run = run
        self.tail = Tail(run.events)
        self.history = History()
        self.columns = {name: Columns() for name in CURVES}
        self.times = Columns()
        self.pace = Columns()
        self.smoothed = Smoothed(self.columns["loss"])
        self.recent: deque[tuple[int, float]] = deque(maxlen=WINDOW + 1)
        self.step_tokens: deque[int] = deque(maxlen=WINDOW)
        self.step_seconds: deque[float] = deque(maxlen=WINDOW)
        self.skipped = 0

    def read(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> bool:
        """Take in what was appended, for at most about `seconds`; tell whether anything was.

        Whatever is left is taken in by the next call: see `read_share`.
        """
        deadline = clock() + seconds
        changed = False
        while records := self.tail.read(CHUNK):
            self.add(records)
            changed = True
            if clock() >= deadline:
                break
            give_way(BREATH_SECONDS)
        return changed

    @property
    def read_share(self) -> float:
        """The part of the event log that was read: 1 when nothing is left."""
        try:
            size = self.run.events.stat().st_size
        except OSError:
            return 1.0
        return min(self.tail.offset / size, 1.0) if size else 1.0

    def add(self, records: list[dict[str, Any]]) -> None:
        """Take in events in the order in which they were written."""
        for is_step, group in itertools.groupby(records, key=lambda record: record.get("type") == "step"):
            if is_step:
                self._steps(list(group))
                continue
            for record in group:
                self._other(record)

    def _other(self, record: dict[str, Any]) -> None:
        resumes = len(self.history.resumes)
        try:
            self.history.add(record)
        except (KeyError, TypeError, ValueError, OverflowError):
            self.skipped += 1
            return
        if len(self.history.resumes) > resumes:
            self._rewind(self.history.resumes[-1])

    def _steps(self, records: list[dict[str, Any]]) -> None:
        rows = [row for row in map(_numbers, records) if row is not None]
        self.skipped += len(records) - len(rows)
        if not rows:
            return
        steps = [row[0] for row in rows]
        self.times.extend(steps, [row[1] for row in rows])
        self.pace.extend(steps, [row[2] / row[3] if row[3] > 0 else None for row in rows])
        for index, name in enumerate(CURVES):
            self.columns[name].extend(steps, [row[4 + index] for row in rows])
        for step, t, tokens, seconds in (row[:4] for row in rows[-WINDOW - 1 :]):
            self.recent.append((int(step), float(t)))
            self.step_tokens.append(int(tokens))
            self.step_seconds.append(float(seconds))
        self.history.last_t = self.recent[-1][1]

    def _rewind(self, step: int) -> None:
        """Drop the steps that a resumed run replays; its pace is measured anew."""
        for column in (*self.columns.values(), self.times, self.pace):
            column.rewind(step)
        self.smoothed.reset(self.smoothed.weight)
        for window in (self.recent, self.step_tokens, self.step_seconds):
            window.clear()

    @property
    def step(self) -> int:
        """The last step done that counts."""
        if len(self.times):
            return int(self.times.x[-1])
        return self.history.resumes[-1] if self.history.resumes else 0

    def eta(self, total: int | None) -> float | None:
        """Return the seconds that the remaining steps take; None while that cannot be known."""
        return eta_seconds(self.step, total, list(self.recent), since=self._attempt_start())

    def tokens_per_second(self) -> float | None:
        """Return the speed over the last steps, without what lies between them."""
        return tokens_per_second(list(self.step_tokens), list(self.step_seconds))

    def _attempt_start(self) -> float | None:
        return next((p.start for p in self.history.phases if p.attempt == self.history.attempt), None)


def _numbers(record: dict[str, Any]) -> tuple[Any, ...] | None:
    """Return (step, t, tokens, seconds, *CURVES) of a step event; None where step or time is missing."""
    step, t = as_float(record.get("step")), as_float(record.get("t"))
    if step is None or t is None or step != step or t != t:
        return None
    tokens, seconds = as_float(record.get("tokens")), as_float(record.get("seconds"))
    return (step, t, tokens or 0.0, seconds or 0.0, *(as_float(record.get(name)) for name in CURVES))

"""A run's events folded into curves and marks: what the worker, the table and the console read instead of raw lines.

Steps that a later attempt replays are superseded by it; the time they took is known still.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from lab.jsonio import as_float
from lab.runs.paths import RunPaths
from lab.runs.reader import read_all
from lab.text import sanitize

CURVES = ("loss", "lr", "grad_norm", "memory_bytes")


@dataclass(frozen=True)
class Phase:
    """A phase of one attempt: `end` (Unix seconds) is None while it lasts, or where the worker was killed in it."""

    name: str
    attempt: int
    start: float
    end: float | None
    detail: str = ""


@dataclass
class History:
    """What the events of a run amount to.

    Attributes:
        steps: step numbers that count, ascending; the lists in `curves` run beside it.
        times: when each of them ended, Unix seconds.
        seconds, tokens: spent on optimiser steps in all attempts, replayed ones included.
        peak_memory_bytes: the highest that any step saw.
    """

    steps: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    curves: dict[str, list[float | None]] = field(default_factory=lambda: {name: [] for name in CURVES})
    step_tokens: list[int] = field(default_factory=list)
    step_seconds: list[float] = field(default_factory=list)
    evals: list[tuple[int, float]] = field(default_factory=list)
    phases: list[Phase] = field(default_factory=list)
    checkpoints: list[dict[str, Any]] = field(default_factory=list)
    alerts: list[dict[str, Any]] = field(default_factory=list)
    resumes: list[int] = field(default_factory=list)
    end: dict[str, Any] | None = None
    attempt: int = 0
    seconds: float = 0.0
    tokens: int = 0
    supervised: int = 0
    examples: int = 0
    peak_memory_bytes: int | None = None
    last_t: float | None = None

    def add(self, record: dict[str, Any]) -> None:
        """Take in one event; kinds that this version does not know, and lines without time or step, are left alone."""
        attempt = int(record.get("attempt", 1))
        if attempt > self.attempt and self.last_t is not None:
            _close_phase(self, self.last_t)  # the attempt before was cut off: its phase ends with its last event
        self.attempt = max(self.attempt, attempt)
        self.last_t = as_float(record.get("t")) or self.last_t
        handler = _HANDLERS.get(str(record.get("type")))
        if handler is not None and all(isinstance(record.get(key), int | float) for key in ("t", "step")):
            handler(self, record)

    @property
    def phase(self) -> Phase | None:
        return self.phases[-1] if self.phases else None

    def phase_windows(self, name: str) -> list[tuple[float, float]]:
        """Return (start, end) in Unix seconds of each time the run was in phase `name`, over all attempts.

        A phase that was cut off ends with the last event that is known of it.
        """
        return [
            (p.start, p.end if p.end is not None else self.last_t or p.start) for p in self.phases if p.name == name
        ]


def _phase(history: History, record: dict[str, Any]) -> None:
    start = float(record["t"])
    _close_phase(history, start)
    name, attempt = str(record.get("phase")), int(record.get("attempt", 1))
    history.phases.append(Phase(name, attempt, start, None, sanitize(str(record.get("detail", "")), newlines=False)))
    history.end = None


def _close_phase(history: History, t: float) -> None:
    if history.phases and history.phases[-1].end is None:
        last = history.phases[-1]
        history.phases[-1] = Phase(last.name, last.attempt, last.start, t, last.detail)


def _step(history: History, record: dict[str, Any]) -> None:
    step = int(record["step"])
    history.steps.append(step)
    history.times.append(float(record["t"]))
    for name in CURVES:
        history.curves[name].append(as_float(record.get(name)))
    tokens, seconds = int(record.get("tokens") or 0), float(as_float(record.get("seconds")) or 0.0)
    history.step_tokens.append(tokens)
    history.step_seconds.append(seconds)
    history.tokens += tokens
    history.seconds += seconds
    history.supervised += int(record.get("supervised") or 0)
    history.examples += int(record.get("examples") or 0)
    memory = as_float(record.get("memory_bytes"))
    if memory is not None:
        history.peak_memory_bytes = max(history.peak_memory_bytes or 0, int(memory))


def _eval(history: History, record: dict[str, Any]) -> None:
    loss = as_float(record.get("loss"))
    if loss is not None:
        history.evals.append((int(record["step"]), loss))


def _resume(history: History, record: dict[str, Any]) -> None:
    origin = int(record.get("from_step") or 0)
    history.resumes.append(origin)
    keep = next((i for i, step in enumerate(history.steps) if step > origin), len(history.steps))
    for column in (history.steps, history.times, history.step_tokens, history.step_seconds, *history.curves.values()):
        del column[keep:]  # type: ignore[attr-defined]
    history.evals = [mark for mark in history.evals if mark[0] <= origin]


def _checkpoint(history: History, record: dict[str, Any]) -> None:
    history.checkpoints.append(record)


def _alert(history: History, record: dict[str, Any]) -> None:
    history.alerts.append({**record, "text": sanitize(str(record.get("text", "")))})


def _end(history: History, record: dict[str, Any]) -> None:
    _close_phase(history, float(record["t"]))
    history.end = {k: sanitize(v) if isinstance(v, str) else v for k, v in record.items()}


_HANDLERS = {
    "phase": _phase,
    "step": _step,
    "eval": _eval,
    "resume": _resume,
    "checkpoint": _checkpoint,
    "alert": _alert,
    "end": _end,
}


def fold(events: Iterable[dict[str, Any]]) -> History:
    """Return the history of `events`, given in the order in which they were written."""
    history = History()
    for record in events:
        history.add(record)
    return history


def read_history(run: RunPaths) -> History:
    """Return the whole history of a run."""
    return fold(read_all(run.events))

"""The newest things that happened in a run, as lines for people: checkpoints, validation losses, alerts, resumes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from lab.jsonio import as_float
from lab.runs.history import History
from lab.text import byte_size, number, sanitize

KEPT = 50


@dataclass(frozen=True)
class Note:
    """One line. `kind` is checkpoint, alert, error, resume or end; `t` is Unix seconds, 0 where unknown."""

    t: float
    kind: str
    text: str

    @property
    def clock(self) -> str:
        return time.strftime("%H:%M", time.localtime(self.t)) if self.t else "     "


def newest_notes(history: History, kept: int = KEPT) -> tuple[Note, ...]:
    """Return the last notes of a run, the oldest first."""
    notes = [_checkpoint(record, history.evals) for record in history.checkpoints[-kept:]]
    notes += [_alert(record) for record in history.alerts[-kept:]]
    notes += [Note(p.start, "resume", f"attempt {p.attempt} began") for p in history.phases if _resumes(p, history)]
    if history.end is not None:
        notes.append(_end(history.end))
    return tuple(sorted(notes, key=lambda note: note.t)[-kept:])


def _resumes(phase: Any, history: History) -> bool:
    first = next(p for p in history.phases if p.attempt == phase.attempt)
    return phase is first and phase.attempt > 1


def _checkpoint(record: dict[str, Any], evals: list[tuple[int, float]]) -> Note:
    step = int(as_float(record.get("step")) or 0)
    size = as_float(record.get("bytes"))
    text = f"checkpoint step {step} saved" + (f", {byte_size(size)}" if size else "")
    loss = dict(evals).get(step)
    return Note(_t(record), "checkpoint", text + (f" · eval loss {number(loss)}" if loss is not None else ""))


def _alert(record: dict[str, Any]) -> Note:
    kind = "error" if record.get("level") == "error" else "alert"
    return Note(_t(record), kind, sanitize(str(record.get("text", "")), newlines=False))


def _end(record: dict[str, Any]) -> Note:
    reason, remedy = (sanitize(str(record.get(key) or ""), newlines=False) for key in ("reason", "remedy"))
    outcome = sanitize(str(record.get("outcome", "ended")), newlines=False)
    return Note(_t(record), "end", f"{outcome}" + (f": {reason}" if reason else "") + (f" {remedy}" if remedy else ""))


def _t(record: dict[str, Any]) -> float:
    return as_float(record.get("t")) or 0.0

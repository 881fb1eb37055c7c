"""What the worker writes about its run: events as they happen, the state at most once a second, and the end, always."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from lab import atomic
from lab.errors import OutOfSpaceError
from lab.runs.appendlog import AppendLog
from lab.runs.events import event
from lab.runs.paths import RunPaths
from lab.runs.reader import read_json

RESERVE_BYTES = 1 << 18
STATE_SECONDS = 1.0


class RunWriter:
    """The one writer of a run's `events.jsonl` and `state.json`; lives as long as the worker.

    Attributes:
        step: optimiser steps finished; stamped on every event.
        state: the content of `state.json`; replaced on disk by `flush`.
    """

    def __init__(self, run: RunPaths) -> None:
        self.run = run
        self.state: dict[str, Any] = read_json(run.state) or {}
        self.attempt = int(self.state.get("attempt", 1))
        self.step = 0
        self._reserve()
        self._log = AppendLog(run.events)
        self._flushed = 0.0

    def _reserve(self) -> None:
        """Keep room for the end; on a disk that is full already the end takes its chance without it."""
        if not self.run.reserve.exists():
            with contextlib.suppress(OSError):
                self.run.reserve.write_bytes(b"\0" * RESERVE_BYTES)

    def emit(self, kind: str, **fields: Any) -> None:
        """Append one event. Raises OutOfSpaceError, after which only `end` can still write."""
        self._log.append(event(kind, attempt=self.attempt, step=self.step, **fields))

    def phase(self, name: str, detail: str = "") -> None:
        """Enter phase `name`; `detail` is the line that people see."""
        self.emit("phase", phase=name, detail=detail)
        self.update(state=name, detail=detail, now=True)

    def update(self, *, now: bool = False, **fields: Any) -> None:
        """Change fields of the state; it reaches the disk at most once a second unless `now`."""
        self.state.update(fields)
        if now or time.monotonic() - self._flushed >= STATE_SECONDS:
            self.flush()

    def summary(self, **fields: Any) -> None:
        """Change fields of the state's summary (last and best loss, metrics, cost)."""
        self.state.setdefault("summary", {}).update(fields)

    def flush(self) -> None:
        self.state.update(step=self.step, updated=time.time())
        atomic.write_json(self.run.state, self.state)
        self._flushed = time.monotonic()

    def end(self, outcome: str, *, reason: str = "", remedy: str = "") -> None:
        """Write the end of this attempt, on a full disk with the room that was kept for it."""
        self.run.reserve.unlink(missing_ok=True)
        fields = {"outcome": outcome, "reason": reason, "remedy": remedy}
        self.emit("end", **fields)
        with contextlib.suppress(OutOfSpaceError):  # the events win over the state: a lost state is mended by readers
            self.update(state=outcome, detail=reason, end={"t": time.time(), **fields}, now=True)

    def close(self) -> None:
        self._log.close()

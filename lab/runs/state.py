"""The state of a run, read from its folder alone.

queued -> starting -> training -> evaluating -> completed | stopped | failed
lost: work had begun, nobody holds the lock, and no end is written

A run that was given to Slurm is `queued`, too, while its job waits there; nobody holds its lock then.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import tomli

from lab.runs import lock
from lab.runs.events import OUTCOMES
from lab.runs.paths import RunPaths
from lab.runs.reader import read_json
from lab.runs.waiting import seen_in_queue
from lab.telemetry.kills import kills_since

LIVE = ("queued", "starting", "training", "evaluating")
ENDED = (*OUTCOMES, "lost")
RESUMABLE = ("stopped", "failed", "lost")
STATES = (*LIVE, *ENDED)
TAIL_BYTES = 1 << 16
UNREADABLE = "state.json cannot be read; this is what the events tell"


def derive(written: str, *, held: bool, end: dict[str, Any] | None) -> str:
    """Return the state from what `state.json` says, whether the lock is held, and the attempt's `end` event.

    The events win: a worker that was killed between its last event and its last state has still ended well.
    """
    if end is not None and not held:
        return str(end["outcome"])
    if written in OUTCOMES or held:
        return written
    return "lost"


def read_state(run: RunPaths) -> dict[str, Any]:
    """Return `state.json` with its `state` brought up to date; an empty object for a folder that is no run yet.

    Of a run whose `state.json` is damaged or gone, what its events and its profile tell: no run goes unseen.
    """
    record = read_json(run.state) or _rebuilt(run)
    if not record:
        return {}
    held = lock.is_held(run.lock)
    begun = record.get("state") != "queued" or record.get("pid") is not None
    if record.get("state") not in OUTCOMES or held:
        end = None if held else last_end(run, int(record.get("attempt", 1)))
        record["state"] = derive(str(record.get("state")), held=held, end=end)
        record["end"] = end if end is not None else record.get("end")
        if record["state"] == "lost":
            record["detail"] = cause_of_loss(record) or record.get("detail")
    record["alive"] = held
    if record["state"] == "lost" or record.get("interrupted"):  # even while the worker that was interrupted ends
        record |= seen_in_queue(run, begun=begun, ended=record["state"] != "lost")
    return record


def cause_of_loss(record: dict[str, Any]) -> str:
    """Return what is known of the death of a worker that wrote no end; "" where nothing is."""
    facts = record.get("facts")
    noted = facts.get("memory_guard") if isinstance(facts, dict) else None
    if isinstance(noted, dict) and kills_since(noted):
        return "killed by the kernel's memory guard (cgroup), by all signs: it has killed in this group since the start"
    return ""


def last_end(run: RunPaths, attempt: int) -> dict[str, Any] | None:
    """Return the `end` event of `attempt` if the last whole lines of the event log hold one."""
    ends = (one for one in _latest(run) if one.get("type") == "end" and one.get("attempt") == attempt)
    return next(ends, None)


def _latest(run: RunPaths) -> Iterator[dict[str, Any]]:
    """Yield the events in the last part of the log, the newest first; lines that cannot be read are passed over."""
    try:
        with run.events.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return
    for line in reversed(lines):
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            yield record


def _rebuilt(run: RunPaths) -> dict[str, Any]:
    """Return what of `state.json` can be told without it; an empty object where there are no events either."""
    events = [one for one in _latest(run) if isinstance(one.get("t"), int | float)]
    if not events:
        return {}
    newest = events[0]
    try:
        tree = tomli.loads(run.profile.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        tree = {}
    method, model = (value if isinstance(value := tree.get(key), dict) else {} for key in ("method", "model"))
    attempt, step = (value if isinstance(value := newest.get(key), int) else None for key in ("attempt", "step"))
    return {
        "id": run.id,
        "state": "training",  # unless the lock or an end say something else
        "detail": UNREADABLE,
        "method": str(method.get("kind") or ""),
        "model": str(model.get("name") or ""),
        "created": _made(run) or newest["t"],
        "updated": newest["t"],
        "attempt": attempt or 1,
        "step": step or 0,
    }


def _made(run: RunPaths) -> float | None:
    """Return when the run was made, Unix seconds, as its id says to the minute."""
    try:
        return datetime.strptime(run.id[:13], "%Y%m%d-%H%M").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None

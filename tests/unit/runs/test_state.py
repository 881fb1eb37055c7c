"""The state of a run from its folder: what is written, who holds the lock, and the last word of the events."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from lab.runs import lock
from lab.runs.appendlog import AppendLog
from lab.runs.events import event
from lab.runs.paths import RunPaths
from lab.runs.state import ENDED, LIVE, RESUMABLE, STATES, TAIL_BYTES, UNREADABLE, derive, last_end, read_state

Make = Callable[..., RunPaths]
LIVE_ROWS = [(name, True, None, name) for name in LIVE] + [(name, False, None, "lost") for name in LIVE]
ENDED_ROWS = [(name, held, None, name) for name in ("completed", "stopped", "failed") for held in (True, False)]


def log(run: RunPaths, *events: dict[str, Any]) -> None:
    file = AppendLog(run.events)
    for record in events:
        file.append(record)
    file.close()


def end(outcome: str, attempt: int = 1) -> dict[str, Any]:
    return event("end", attempt=attempt, step=3, outcome=outcome, reason="why", remedy="")


@pytest.mark.parametrize(
    ("written", "held", "outcome", "state"),
    [
        *LIVE_ROWS,
        *ENDED_ROWS,
        ("training", False, "completed", "completed"),
        ("evaluating", False, "failed", "failed"),
        ("queued", False, "stopped", "stopped"),
        ("training", True, "completed", "training"),
        ("stopped", False, "completed", "completed"),
        ("nonsense", False, None, "lost"),
    ],
)
def test_states_are_derived(written: str, held: bool, outcome: str | None, state: str) -> None:
    assert derive(written, held=held, end=end(outcome) if outcome else None) == state


def test_the_words_fit_together() -> None:
    assert set(LIVE) | set(ENDED) == set(STATES)
    assert not set(LIVE) & set(ENDED)
    assert set(RESUMABLE) == set(ENDED) - {"completed"}


@pytest.mark.parametrize("text", [None, "{half", "[]", "\x00\x01"])
@pytest.mark.parametrize(("events", "state"), [((), "lost"), ((end("completed", 2),), "completed")])
def test_a_run_whose_state_is_damaged_is_told_by_its_events(
    make: Make, text: str | None, events: tuple[dict[str, Any], ...], state: str
) -> None:
    run = make()
    log(run, event("step", attempt=1, step=2, loss=1.0), event("step", attempt=2, step=3, loss=0.9), *events)
    if text is None:
        run.state.unlink()
    else:
        run.state.write_text(text)
    found = read_state(run)
    assert (found["state"], found["attempt"], found["step"]) == (state, 2, 3)
    assert found["detail"] == UNREADABLE
    assert isinstance(found["method"], str)
    assert found["created"] == 1_800_000_000  # as the id says: 2027-01-15 08:00 UTC


def test_a_folder_without_state_is_no_run(make: Make) -> None:
    run = make()
    run.state.unlink()
    assert read_state(run) == {}
    run.state.write_text("{half")
    assert read_state(run) == {}


def test_a_held_run_is_alive_and_a_dropped_one_lost(make: Make) -> None:
    run = make(state="training")
    handle = lock.acquire(run.lock)
    assert (read_state(run)["state"], read_state(run)["alive"]) == ("training", True)
    os.close(handle)
    assert (read_state(run)["state"], read_state(run)["alive"]) == ("lost", False)


def test_the_events_win_over_the_state_file(make: Make) -> None:
    run = make(state="training", end=None)
    log(run, event("step", attempt=1, step=3, loss=1.0), end("completed"))
    found = read_state(run)
    assert (found["state"], found["end"]["reason"]) == ("completed", "why")


def test_a_live_run_keeps_its_state_though_an_end_was_just_written(make: Make) -> None:
    run = make(state="evaluating")
    log(run, end("completed"))
    handle = lock.acquire(run.lock)
    assert read_state(run)["state"] == "evaluating"
    os.close(handle)


def test_the_end_of_an_earlier_attempt_does_not_count(make: Make) -> None:
    run = make(state="training", attempt=2)
    log(run, end("stopped", attempt=1), event("resume", attempt=2, step=2, from_step=2))
    assert read_state(run)["state"] == "lost"
    log(run, end("failed", attempt=2))
    assert read_state(run)["state"] == "failed"


def test_a_written_outcome_stands_without_events(make: Make) -> None:
    found = read_state(make(state="failed", end={"outcome": "failed", "reason": "full"}))
    assert (found["state"], found["alive"], found["end"]["reason"]) == ("failed", False, "full")


def test_the_end_is_found_before_a_torn_line_and_behind_a_long_log(make: Make) -> None:
    run = make()
    assert last_end(run, 1) is None
    line = event("alert", attempt=1, step=1, level="warning", text="x" * 1000)
    log(run, *[line] * (TAIL_BYTES // 1000 + 5), end("stopped"))
    with run.events.open("ab") as file:
        file.write(b'[1]\n5\n{"type": "end", "attempt": 1, "outc')
    found = last_end(run, 1)
    assert found is not None
    assert found["outcome"] == "stopped"
    assert last_end(run, 2) is None


def test_a_lost_run_names_the_memory_guard_where_it_has_killed(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    noted = {"file": "/sys/fs/cgroup/memory.events", "kills": 0}
    killed = {"memory_guard": noted}
    monkeypatch.setattr("lab.runs.state.kills_since", lambda found: 1 if found == noted else 0)
    lost = read_state(make("lost", state="training", detail="step 3 of 9", facts=killed))
    assert lost["state"] == "lost"
    assert lost["detail"].startswith("killed by the kernel's memory guard (cgroup)")
    assert read_state(make("other", state="training", detail="step 3 of 9", facts={"memory_guard": None}))[
        "detail"
    ] == ("step 3 of 9")
    assert read_state(make("ended", state="failed", detail="why", facts=killed))["detail"] == "why"

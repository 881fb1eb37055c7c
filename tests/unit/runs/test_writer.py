"""What the worker writes: events at once, the state now and then, and the end even on a full disk."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab import atomic
from lab.errors import OutOfSpaceError
from lab.runs.paths import RunPaths
from lab.runs.reader import read_all, read_json
from lab.runs.state import read_state
from lab.runs.writer import RESERVE_BYTES, RunWriter

Make = Callable[..., RunPaths]


def written(run: RunPaths) -> dict[str, Any]:
    return read_json(run.state) or {}


def test_events_carry_attempt_and_step(make: Make) -> None:
    run = make(attempt=2)
    writer = RunWriter(run)
    writer.phase("training", "12 rows")
    writer.step = 7
    writer.emit("step", loss=float("nan"))
    writer.close()
    first, second = read_all(run.events)
    assert (first["type"], first["phase"], first["attempt"], first["step"]) == ("phase", "training", 2, 0)
    assert (second["loss"], second["attempt"], second["step"]) == ("nan", 2, 7)
    assert (written(run)["state"], written(run)["detail"]) == ("training", "12 rows")


def test_the_state_reaches_the_disk_once_a_second_or_when_asked(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    run, clock = make(), [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    writer = RunWriter(run)
    writer.update(detail="a")
    assert written(run)["detail"] == "a"
    clock[0] += 0.9
    writer.update(detail="b")
    assert written(run)["detail"] == "a"
    clock[0] += 0.2
    writer.step = 5
    writer.update(total_steps=9)
    assert (written(run)["detail"], written(run)["total_steps"], written(run)["step"]) == ("b", 9, 5)
    writer.summary(last_loss=0.5)
    writer.summary(best_eval_loss=0.4)
    writer.update(detail="c", now=True)
    assert (written(run)["detail"], written(run)["summary"]) == ("c", {"last_loss": 0.5, "best_eval_loss": 0.4})
    writer.close()


def test_a_new_writer_keeps_the_state_and_closes_a_torn_line(make: Make) -> None:
    run = make(model="m", summary={"last_loss": 1.0})
    run.events.write_bytes(b'{"type": "step", "st')
    writer = RunWriter(run)
    writer.summary(metrics={})
    writer.end("completed", reason="all steps")
    writer.close()
    assert [record["type"] for record in read_all(run.events)] == ["end"]
    assert (written(run)["model"], written(run)["summary"]) == ("m", {"last_loss": 1.0, "metrics": {}})


def test_the_end_is_in_events_and_state(make: Make) -> None:
    run = make()
    writer = RunWriter(run)
    assert run.reserve.stat().st_size == RESERVE_BYTES
    writer.step = 3
    writer.end("failed", reason="NaN loss.", remedy="Lower train.learning_rate.")
    writer.close()
    (end,) = read_all(run.events)
    assert (end["outcome"], end["reason"], end["remedy"], end["step"]) == (
        "failed",
        "NaN loss.",
        "Lower train.learning_rate.",
        3,
    )
    assert not run.reserve.exists()
    assert (written(run)["state"], written(run)["end"]["outcome"]) == ("failed", "failed")


def test_the_reserve_makes_room_for_the_end(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make()
    writer = RunWriter(run)
    write = os.write

    def full_while_the_reserve_stands(handle: int, data: bytes) -> int:
        if run.reserve.exists():
            raise OSError(errno.ENOSPC, "full")
        return write(handle, data)

    monkeypatch.setattr(os, "write", full_while_the_reserve_stands)
    with pytest.raises(OutOfSpaceError):
        writer.emit("step", loss=1.0)
    writer.end("failed", reason="full")
    writer.close()
    monkeypatch.undo()
    assert [record["type"] for record in read_all(run.events)] == ["end"]
    assert read_state(run)["state"] == "failed"
    RunWriter(run).close()
    assert run.reserve.stat().st_size == RESERVE_BYTES


def test_a_state_that_cannot_be_written_does_not_lose_the_end(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make(state="training")
    writer = RunWriter(run)

    def refuse(path: Path, text: str) -> None:
        raise OutOfSpaceError("Full.", "Free some.")

    monkeypatch.setattr(atomic, "write_text", refuse)
    writer.end("completed")
    writer.close()
    assert written(run)["state"] == "training"
    assert read_state(run)["state"] == "completed"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_under_the_events_is_told(make: Make) -> None:
    run = make()
    run.events.symlink_to("/dev/full")
    writer = RunWriter(run)
    with pytest.raises(OutOfSpaceError, match="No space is left"):
        writer.phase("training")
    with pytest.raises(OutOfSpaceError):
        writer.end("failed")
    assert not run.reserve.exists()
    writer.close()


@pytest.mark.parametrize(
    ("kind", "fields"), [("end", {"outcome": "lost"}), ("phase", {"phase": "done"}), ("other", {})]
)
def test_mistakes_are_not_written(make: Make, kind: str, fields: dict[str, str]) -> None:
    run = make()
    writer = RunWriter(run)
    with pytest.raises(ValueError, match="unknown"):
        writer.emit(kind, **fields)
    writer.close()
    assert list(read_all(run.events)) == []

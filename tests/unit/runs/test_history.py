"""Events folded into curves: what a resume supersedes, and what it costs all the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from lab.runs.history import fold, read_history
from lab.runs.paths import RunPaths

Make = Callable[..., RunPaths]


def at(t: float, kind: str, attempt: int = 1, **fields: Any) -> dict[str, Any]:
    return {"schema": 1, "t": t, "type": kind, "attempt": attempt, "step": 0, **fields}


def step(n: int, attempt: int = 1, t: float | None = None, **fields: Any) -> dict[str, Any]:
    values = {"loss": float(n), "lr": 0.1, "tokens": 10, "supervised": 4, "examples": 2, "seconds": 0.5}
    return at(100.0 * attempt + n if t is None else t, "step", attempt, **{**values, "step": n, **fields})


def test_nothing_folds_to_nothing() -> None:
    history = fold([])
    assert (history.steps, history.phase, history.end, history.attempt) == ([], None, None, 0)
    assert history.phase_windows("training") == []


def test_columns_run_beside_the_steps() -> None:
    history = fold([step(1, memory_bytes=5), step(2, memory_bytes=9), step(3, memory_bytes=7, grad_norm=0.25)])
    assert history.steps == [1, 2, 3]
    assert history.times == [101, 102, 103]
    assert history.curves["loss"] == [1.0, 2.0, 3.0]
    assert history.curves["grad_norm"] == [None, None, 0.25]
    assert history.step_tokens == [10, 10, 10]
    assert history.step_seconds == [0.5, 0.5, 0.5]
    assert (history.tokens, history.supervised, history.examples, history.seconds) == (30, 12, 6, 1.5)
    assert history.peak_memory_bytes == 9
    assert history.last_t == 103


def test_values_that_are_no_numbers_are_read_as_such() -> None:
    history = fold([step(1, loss="nan", lr="inf", seconds=None, tokens=None, memory_bytes=None)])
    loss = history.curves["loss"][0]
    assert loss is not None
    assert math.isnan(loss)
    assert history.curves["lr"] == [math.inf]
    assert (history.tokens, history.seconds, history.peak_memory_bytes) == (0, 0.0, None)


def test_a_resume_supersedes_later_steps_but_their_cost_counts() -> None:
    history = fold(
        [
            *[step(n, loss=1.0, memory_bytes=50 * n) for n in (1, 2, 3, 4)],
            at(104.5, "eval", loss=0.4, step=2),
            at(104.6, "eval", loss=0.9, step=4),
            at(200, "resume", 2, from_step=2),
            *[step(n, 2, loss=2.0, memory_bytes=1) for n in (3, 4, 5)],
            at(205.5, "eval", 2, loss=0.8, step=4),
        ]
    )
    assert history.steps == [1, 2, 3, 4, 5]
    assert history.curves["loss"] == [1.0, 1.0, 2.0, 2.0, 2.0]
    assert history.times == [101, 102, 203, 204, 205]
    columns = (history.times, history.step_tokens, history.step_seconds, *history.curves.values())
    assert {len(column) for column in columns} == {5}
    assert history.evals == [(2, 0.4), (4, 0.8)]
    assert (history.tokens, history.seconds, history.supervised, history.examples) == (70, 3.5, 28, 14)
    assert history.peak_memory_bytes == 200
    assert (history.resumes, history.attempt) == ([2], 2)


@pytest.mark.parametrize(("origin", "kept"), [(0, []), (2, [1, 2]), (3, [1, 2, 3]), (9, [1, 2, 3])])
def test_a_resume_keeps_the_steps_up_to_its_origin(origin: int, kept: list[int]) -> None:
    history = fold([step(1), step(2), step(3), at(200, "resume", 2, from_step=origin)])
    assert history.steps == kept
    assert history.tokens == 30


def test_phases_follow_each_other() -> None:
    history = fold(
        [
            at(1, "phase", phase="queued", detail="behind \x1b[31mother\n"),
            at(3, "phase", phase="training"),
            at(9, "phase", phase="evaluating"),
            at(12, "end", outcome="completed"),
        ]
    )
    assert [(p.name, p.start, p.end) for p in history.phases] == [
        ("queued", 1, 3),
        ("training", 3, 9),
        ("evaluating", 9, 12),
    ]
    assert history.phases[0].detail == "behind other "
    assert history.end is not None
    assert history.end["outcome"] == "completed"


def test_a_phase_that_was_cut_off_ends_with_the_attempts_last_event() -> None:
    history = fold(
        [
            at(1, "phase", phase="training"),
            step(1, t=5.0),
            at(5000, "phase", 2, phase="starting"),
            at(5001, "phase", 2, phase="training"),
            step(2, 2, t=5004.0),
        ]
    )
    assert history.phase_windows("training") == [(1, 5), (5001, 5004)]
    assert history.phase_windows("starting") == [(5000, 5001)]
    assert history.phase is not None
    assert history.phase.end is None


def test_a_resume_undoes_the_end() -> None:
    events = [at(1, "phase", phase="training"), at(2, "end", outcome="stopped", reason="\x1b[1masked")]
    history = fold(events)
    assert history.end is not None
    assert history.end["reason"] == "asked"
    history.add(at(50, "phase", 2, phase="starting"))
    assert history.end is None
    assert history.phase_windows("training") == [(1, 2)]


def test_alerts_are_cleaned_and_unknown_kinds_left_alone() -> None:
    history = fold(
        [
            at(1, "alert", level="warning", text="loud\x07\x1b]0;t\x07er"),
            at(2, "invented", phase="x"),
            at(3, "checkpoint", path="checkpoints/checkpoint-2", new_field=1),
        ]
    )
    assert [alert["text"] for alert in history.alerts] == ["louder"]
    assert [mark["path"] for mark in history.checkpoints] == ["checkpoints/checkpoint-2"]
    assert history.last_t == 3


def test_a_validation_loss_that_was_not_measured_is_no_mark() -> None:
    history = fold([at(1, "eval", loss=None, step=1), at(2, "eval", loss=0.5, step=2)])
    assert history.evals == [(2, 0.5)]


def test_a_run_is_read_from_its_folder(make: Make) -> None:
    run = make()
    assert read_history(run).steps == []
    run.events.write_text('{"t": 1, "type": "step", "attempt": 1, "step": 1, "loss": 0.5}\ntorn\n{"t": 2')
    assert read_history(run).curves["loss"] == [0.5]

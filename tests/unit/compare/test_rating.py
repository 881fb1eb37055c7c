"""Blind rating without a user interface: order and sides, verdicts, undo, resuming, what it amounts to."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from lab.compare.entry import load_entry
from lab.compare.rating import Session, begin, flag, record, summary, undo, wilson
from lab.errors import UsageError
from lab.runs.paths import RunPaths
from lab.runs.store import read_run
from tests.fixtures.folders import add_evaluation, answered, make_run

ROWS = 30
SAME = 10


@pytest.fixture
def pair(tmp_path: Path) -> tuple[RunPaths, RunPaths]:
    """Return two runs that give the same answer to ten of forty rows."""
    answers = [[f"{name} {n}" for n in range(ROWS)] + ["same"] * SAME for name in ("good", "bad")]
    one, two = (make_run(tmp_path, name, generations=answered(own)) for name, own in zip("ab", answers, strict=True))
    return one, two


def session_of(one: RunPaths, two: RunPaths, **options: int) -> Session:
    infos = [read_run(run) for run in (one, two)]
    entries = [load_entry(info) for info in infos if info is not None]
    return begin(entries[0], entries[1], (one, two), **options)


def judge(session: Session, wanted: str = "good", count: int = ROWS) -> None:
    """Choose the answer that begins with `wanted`, `count` times."""
    for _ in range(count):
        question = session.next
        assert question is not None
        record(session, question, "left" if question.left.startswith(wanted) else "right")


def test_rows_are_shuffled_sides_are_drawn_and_equal_answers_are_not_asked(pair: tuple[RunPaths, RunPaths]) -> None:
    session = session_of(*pair)
    rows = [question.row for question in session.questions]
    assert len(rows) == ROWS
    assert session.same == SAME
    assert rows != sorted(rows)
    lefts = [question.left_run for question in session.questions]
    assert 5 < lefts.count(pair[0].id) < 25
    for question in session.questions:
        assert {question.left.split()[0], question.right.split()[0]} == {"good", "bad"}
        assert question.left.startswith("good") == (question.left_run == pair[0].id)


def test_the_order_is_that_of_the_seed_whichever_way_round_the_runs_are_named(
    pair: tuple[RunPaths, RunPaths],
) -> None:
    one, two = pair
    assert session_of(one, two).questions == session_of(two, one).questions
    assert session_of(one, two, seed=1).questions != session_of(one, two).questions


def test_wins_are_counted_for_the_run_whatever_side_it_stood_on(pair: tuple[RunPaths, RunPaths]) -> None:
    session = session_of(*pair)
    judge(session)
    assert session.next is None
    found = summary(session, pair[0].id)
    assert (found.wins, found.losses, found.ties, found.same, found.left) == (ROWS, 0, SAME, SAME, 0)
    assert found.rate == (ROWS + SAME / 2) / (ROWS + SAME)
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.rate < found.high
    other = summary(session, pair[1].id)
    assert (other.wins, other.losses) == (0, ROWS)
    assert other.rate == pytest.approx(1 - found.rate)
    assert (other.low, other.high) == pytest.approx((1 - found.high, 1 - found.low))


def test_quitting_and_going_on_is_never_having_left(pair: tuple[RunPaths, RunPaths]) -> None:
    session = session_of(*pair)
    whole = [question.row for question in session.questions]
    judge(session, count=7)
    again = session_of(pair[1], pair[0])
    assert [question.row for question in again.open] == whole[7:]
    assert summary(again, pair[0].id) == summary(session, pair[0].id)
    assert summary(again, pair[0].id).same <= SAME


def test_only_the_first_runs_folder_is_written(pair: tuple[RunPaths, RunPaths]) -> None:
    judge(session_of(*pair), count=1)
    first, second = sorted(pair, key=lambda run: run.id)
    assert not second.ratings.exists()
    line = json.loads(first.ratings.read_text())
    assert (line["first"], line["second"], line["schema"]) == (first.id, second.id, 1)
    assert line["left"] in (first.id, second.id)


def test_ties_and_skips(pair: tuple[RunPaths, RunPaths]) -> None:
    session = session_of(*pair)
    for choice in ("tie", "skip"):
        question = session.next
        assert question is not None
        record(session, question, choice)
    judge(session, "bad", count=1)
    found = summary(session, pair[0].id)
    assert (found.wins, found.losses, found.ties - found.same, found.skipped) == (0, 1, 1, 1)
    assert found.left == ROWS - 3
    assert found.rate == (0.5 + found.same / 2) / (2 + found.same)


def test_undo_takes_back_one_after_another_and_across_sessions(pair: tuple[RunPaths, RunPaths]) -> None:
    session = session_of(*pair)
    order = [question.row for question in session.questions]
    judge(session, count=3)
    session = session_of(*pair)
    taken = undo(session)
    assert taken is not None
    assert taken.row == order[2]
    assert [question.row for question in session.open] == order[2:]
    assert undo(session) is not None
    assert [q.row for q in session_of(*pair).open] == order[1:]
    assert undo(session) is not None
    assert undo(session) is None
    judge(session, "bad", count=1)
    assert summary(session_of(*pair), pair[0].id).losses == 1


def test_a_flag_is_no_verdict(pair: tuple[RunPaths, RunPaths]) -> None:
    session = session_of(*pair)
    question = session.next
    assert question is not None
    flag(session, question, "the reference\nis \x1b[31mwrong")
    assert session.next == question
    judge(session, count=1)
    found = summary(session_of(*pair))
    assert found.notes == ((question.row, "the reference is wrong"),)
    assert found.wins + found.losses == 1


def test_verdicts_on_answers_that_were_replaced_do_not_count(pair: tuple[RunPaths, RunPaths]) -> None:
    judge(session_of(*pair))
    fresh = [f"new {n}" for n in range(ROWS)] + ["same"] * SAME
    add_evaluation(pair[1], answered(fresh), spec={"hash": "beef"})
    session = session_of(*pair)
    assert len(session.open) == ROWS
    assert summary(session).rate is None
    assert undo(session) is None


def test_no_verdict_is_no_rate_even_where_all_answers_are_equal(tmp_path: Path) -> None:
    one, two = (make_run(tmp_path, name, generations=answered(["x"] * 4)) for name in "ab")
    session = session_of(one, two)
    assert session.next is None
    found = summary(session)
    assert (found.rate, found.low, found.high) == (None, None, None)


def test_wrong_asks_are_refused(pair: tuple[RunPaths, RunPaths]) -> None:
    session = session_of(*pair)
    question = session.next
    assert question is not None
    with pytest.raises(UsageError, match="left, right, tie, skip"):
        record(session, question, "both")
    with pytest.raises(UsageError, match="against itself"):
        session_of(pair[0], pair[0])
    assert not pair[0].ratings.exists()


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662)],
)
def test_wilson(successes: int, trials: int, low: float, high: float) -> None:
    found = wilson(successes, trials)
    assert found is not None
    assert found == pytest.approx((low, high), abs=1e-4)
    assert not any(math.isnan(bound) for bound in found)


def test_wilson_without_trials() -> None:
    assert wilson(0, 0) is None

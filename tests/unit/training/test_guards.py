"""Losses that are no number, gradients of zero, and the rows that are named."""

from __future__ import annotations

import math

import pytest

from lab.errors import TrainingError
from lab.training.best import waited
from lab.training.guards import Guard, name_rows, suspects


def test_rows_of_the_micro_batches_at_fault_are_named() -> None:
    rows = [["a", "b"], ["c"], ["d", "e"]]
    assert suspects([0.5, math.nan, 0.1], rows) == ["c"]
    assert suspects([math.inf, 0.2, -math.inf], rows) == ["a", "b", "d", "e"]
    assert suspects([1e38, 1e38, 1e38], rows) == ["a", "b", "c", "d", "e"], "only the sum is too large"


@pytest.mark.parametrize(
    ("ids", "text"),
    [
        (["a"], "row a"),
        (["a", "b"], "rows a, b"),
        ([str(n) for n in range(11)], "rows 0, 1, 2, 3, 4, 5, 6, 7 and 3 more"),
        (["a\x1b[31m\nb"], "row a b"),
        ([], "rows that are not known"),
    ],
)
def test_rows_are_named_in_a_line(ids: list[str], text: str) -> None:
    assert name_rows(ids) == text


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_stops_with_its_rows(loss: float) -> None:
    with pytest.raises(TrainingError, match=f"became {loss} at step 7, over row x-3") as caught:
        Guard(print).check(7, loss, 1.0, lambda: ["x-3"])
    assert "train.learning_rate" in caught.value.remedy


def test_rows_are_asked_for_only_then() -> None:
    Guard(print).check(1, 2.0, 1.0, lambda: pytest.fail("nobody is suspected"))


def test_zero_gradients_are_told_once_and_then_counted() -> None:
    told: list[str] = []
    guard = Guard(told.append)
    for step, norm in enumerate([1.0, 0.0, 0.0, 2.0, 0.0], start=1):
        guard.check(step, 1.0, norm, list)
    assert len(told) == 1
    assert "zero at step 2" in told[0]
    guard.sum_up()
    assert told[1:] == ["The gradient was zero in 3 steps of 5."]


@pytest.mark.parametrize(("infinite", "lines"), [(0, 0), (2, 0), (3, 1)])
def test_steps_that_fp16_skips_are_told_where_they_are_many(infinite: int, lines: int) -> None:
    told: list[str] = []
    guard = Guard(told.append)
    for step in range(20):
        guard.check(step, 1.0, math.inf if step < infinite else 1.0, list)
    guard.sum_up()
    assert len(told) == lines
    assert all("not finite in 3 steps of 20" in line for line in told)


@pytest.mark.parametrize(
    ("losses", "count"),
    [
        ([], 0),
        ([2.0], 0),
        ([2.0, 1.0], 0),
        ([1.0, 2.0], 1),
        ([1.0, 1.0], 1),
        ([3.0, 1.0, 2.0, math.nan], 2),
        ([math.nan, 1.0], 0),
        ([math.nan, math.nan], 2),
    ],
)
def test_patience_counts_from_the_lowest_loss(losses: list[float], count: int) -> None:
    assert waited(losses) == count

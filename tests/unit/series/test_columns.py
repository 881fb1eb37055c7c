"""Columns grow, keep their bounds without NaN getting in, and rewind where a resume replays steps."""

from __future__ import annotations

import math

import pytest

from lab.series.columns import NO_BOUNDS, Bounds, Columns, bounds

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], Bounds(None, None, 0)),
        ([2.0], Bounds(2.0, 2.0, 0)),
        ([3.0, -1.0, 2.0], Bounds(-1.0, 3.0, 0)),
        ([NAN, 3.0, 1.0], Bounds(1.0, 3.0, 1)),
        ([3.0, NAN, INF, 1.0, -INF], Bounds(1.0, 3.0, 3)),
        ([INF, -INF], Bounds(None, None, 2)),
        ([1e308, 1e308], Bounds(1e308, 1e308, 0)),  # their sum is infinite, they are not
    ],
)
def test_bounds(values: list[float], expected: Bounds) -> None:
    assert bounds(values) == expected


def test_bounds_follow_every_addition() -> None:
    columns = Columns()
    assert columns.y_bounds == NO_BOUNDS
    columns.append(1, 5.0)
    columns.extend([2, 3], [NAN, 9.0])
    columns.append(4, -1.0)
    assert (len(columns), list(columns.x)) == (4, [1, 2, 3, 4])
    assert columns.y_bounds == Bounds(-1.0, 9.0, 1)
    assert columns.x_bounds == Bounds(1.0, 4.0, 0)


def test_what_was_not_measured_adds_no_row() -> None:
    columns = Columns([1, 2, 3], [None, 7.0, None])
    columns.append(4, None)
    assert (list(columns.x), list(columns.y)) == ([2.0], [7.0])


def test_columns_of_different_length_are_refused_whole() -> None:
    columns = Columns([1], [1.0])
    with pytest.raises(ValueError, match="2 x for 1 y"):
        columns.extend([2, 3], [1.0])
    assert len(columns) == len(columns.y) == 1


@pytest.mark.parametrize(
    ("origin", "xs", "y_bounds"),
    [
        (2, [1, 2], Bounds(5.0, 6.0, 0)),
        (0, [], NO_BOUNDS),
        (9, [1, 2, 3, 4], Bounds(5.0, 99.0, 1)),
    ],
)
def test_rewind_drops_the_steps_after_a_checkpoint(origin: int, xs: list[int], y_bounds: Bounds) -> None:
    columns = Columns([1, 2, 3, 4], [5.0, 6.0, 99.0, NAN])
    columns.rewind(origin)
    assert (list(columns.x), columns.y_bounds) == (xs, y_bounds)
    assert columns.x_bounds.high == (xs[-1] if xs else None)

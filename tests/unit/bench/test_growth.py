"""Telling a full batch from smaller ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab.bench.growth import batch_seconds, extrapolated


def machine(fixed: float, row: float) -> tuple[Callable[[int], float], list[int]]:
    """Return a function that takes `fixed + row * n` seconds for n rows, and the list of what it was asked."""
    asked: list[int] = []

    def timed(rows: int) -> float:
        asked.append(rows)
        return fixed + row * rows

    return timed, asked


@pytest.mark.parametrize("seconds", [2.1, 10.0, 1000.0])
@pytest.mark.parametrize("rows", [1, 2, 3, 8, 16])
def test_what_rows_share_is_counted_once_however_little_time_there_is(rows: int, seconds: float) -> None:
    timed, asked = machine(1.0, 0.5)
    assert batch_seconds(timed, rows, seconds) == pytest.approx(1.0 + 0.5 * rows)
    assert max(asked) <= rows


def test_one_size_alone_is_taken_as_it_is_for_each_row() -> None:
    timed, asked = machine(1.0, 0.5)
    assert batch_seconds(timed, 8, 0.1) == pytest.approx(8.0)
    assert asked == [2]


def test_a_fast_machine_gets_to_all_rows_and_stays_within_the_time() -> None:
    timed, asked = machine(0.0, 0.01)
    batch_seconds(timed, 8, 1.0)
    assert asked[:6] == [2, 2, 4, 4, 8, 8]
    assert sum(0.01 * n for n in asked) == pytest.approx(1.0, abs=0.09)


def test_the_fastest_of_equal_batches_counts() -> None:
    times = iter([9.0, 1.0, 2.0, 9.0])
    assert batch_seconds(lambda rows: next(times), 4, 20.0) == 2.0


@pytest.mark.parametrize(
    ("best", "rows", "expected"),
    [
        ({4: 2.0}, 4, 2.0),
        ({4: 2.0}, 8, 4.0),
        ({2: 2.0, 4: 3.0}, 8, 5.0),
        ({2: 9.0, 4: 3.0, 8: 5.0}, 16, 9.0),
        ({2: 3.0, 4: 3.0}, 8, 6.0),  # the smaller one was held up
        ({2: 8.0, 4: 4.0}, 8, 8.0),
    ],
)
def test_the_line_goes_through_the_two_largest(best: dict[int, float], rows: int, expected: float) -> None:
    assert extrapolated(best, rows) == pytest.approx(expected)

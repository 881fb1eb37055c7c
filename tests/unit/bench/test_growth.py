"""The speed of a batch, from as large a one as there is time for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab.bench.growth import batch_speed

SHARED, OWN = 100, 50  # tokens that a batch goes through once, and for each row


def tokens(rows: int) -> int:
    return SHARED + OWN * rows


def machine(speed: float) -> tuple[Callable[[int], float], list[int]]:
    """Return a function that works at `speed` tokens a second, and the list of batches that it was asked for."""
    asked: list[int] = []

    def timed(rows: int) -> float:
        asked.append(rows)
        return tokens(rows) / speed

    return timed, asked


@pytest.mark.parametrize("seconds", [0.0, 1.0, 10.0, 100.0])
@pytest.mark.parametrize("rows", [1, 2, 3, 8, 16])
@pytest.mark.parametrize("guess", [1.0, 100.0, 10_000.0])
def test_the_speed_is_found_however_little_time_there_is(rows: int, seconds: float, guess: float) -> None:
    timed, asked = machine(100.0)
    assert batch_speed(timed, tokens, rows, seconds, guess) == pytest.approx(100.0)
    assert 1 <= min(asked) <= max(asked) <= rows


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.1, [2]),  # one batch, however long it takes
        (2.0, [2]),
        (4.9, [4]),
        (6.1, [8]),
        (15.0, [16]),
        (26.5, [16, 16]),
    ],
)
def test_the_largest_batch_for_which_there_is_time_is_taken_and_repeated(seconds: float, expected: list[int]) -> None:
    timed, asked = machine(100.0)
    batch_speed(timed, tokens, 16, seconds, 100.0)
    assert asked == expected


def test_a_slow_first_guess_does_not_keep_batches_small() -> None:
    timed, asked = machine(1000.0)
    batch_speed(timed, tokens, 16, 3.0, 1.0)
    assert asked[:2] == [2, 16]


def test_the_fastest_of_equal_batches_counts() -> None:
    times = iter([4.0, 2.0, 9.0])
    assert batch_speed(lambda rows: next(times), tokens, 2, 8.5, 100.0) == tokens(2) / 2.0

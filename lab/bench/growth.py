"""How many tokens a second a batch reaches, told from a smaller one where there is no time for it. Called by timing."""

from __future__ import annotations

from collections.abc import Callable

SMALLEST = 2  # rows: from here on a batch can share what its rows begin with


def batch_speed(
    timed: Callable[[int], float], tokens: Callable[[int], int], rows: int, seconds: float, guess: float
) -> float:
    """Return the tokens a second of the largest batch, up to `rows` rows, for which there is time.

    What a batch takes is foretold from the speed of the last one, so that a slow machine is not kept busy by the first
    and a fast one gets to all rows. Of equal batches the fastest counts: whatever else runs only slows it down.

    Args:
        timed: works on so many rows and returns the seconds.
        tokens: that go through the model in a batch of so many rows.
        seconds: to spend, more or less; one batch is worked on however little that is.
        guess: tokens a second, of whatever came before.
    """
    best: dict[int, float] = {}
    speed, left = guess, seconds
    size = _fitting(tokens, rows, speed * left) or min(SMALLEST, rows)
    while size:
        took = timed(size)
        left -= took
        best[size] = min(took, best.get(size, took))
        speed = tokens(size) / best[size]
        fitting = _fitting(tokens, rows, speed * left)
        size = fitting if fitting >= size else 0
    largest = max(best)
    return tokens(largest) / best[largest]


def _fitting(tokens: Callable[[int], int], rows: int, budget: float) -> int:
    """Return the most rows, in doublings, whose tokens stay within `budget`; 0 where the fewest do not."""
    size, found = min(SMALLEST, rows), 0
    while tokens(size) <= budget:
        found = size
        if size == rows:
            break
        size = min(2 * size, rows)
    return found

"""What a full batch takes, told from a few smaller ones where there is no time for it. Called by `lab.bench.timing`."""

from __future__ import annotations

from collections.abc import Callable

SMALLEST = 2  # rows: from here on a batch can share what its rows begin with
PATIENCE = 2.0  # times the seconds, for a second size of batch: one alone cannot tell what rows share


def batch_seconds(timed: Callable[[int], float], rows: int, seconds: float) -> float:
    """Return what a batch of `rows` takes, or would take by what smaller ones take.

    Batches double, so that a slow machine is not kept busy by its first one, and a fast one gets to all rows. Beyond
    the largest that was timed, each row takes what the last ones added: what the rows of a batch share is in it once.
    Of equal batches the fastest counts: whatever else runs, and what a first batch sets up, only slows it down.

    Args:
        timed: works on so many rows and returns the seconds.
        seconds: to spend, more or less.
    """
    size, spent = min(SMALLEST, rows), 0.0
    best: dict[int, float] = {}
    while True:
        took = timed(size)
        spent += took
        again = size in best
        best[size] = min(took, best.get(size, took))
        if spent >= (seconds if len(best) > 1 or size == rows else PATIENCE * seconds):
            return extrapolated(best, rows)
        if again:
            size = min(2 * size, rows)


def extrapolated(best: dict[int, float], rows: int) -> float:
    """Return the seconds of `rows` rows on the line through the two largest batches of `best` (rows -> seconds)."""
    largest = max(best)
    smaller = max((size for size in best if size < largest), default=0)
    slope = (best[largest] - best.get(smaller, 0.0)) / (largest - smaller)
    if slope <= 0:  # something else ran during the smaller one
        slope = best[largest] / largest
    return best[largest] + slope * (rows - largest)

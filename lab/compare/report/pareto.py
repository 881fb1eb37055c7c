"""The Pareto front of quality against cost: rows that no other row beats in both. Called by the report's trade-offs."""

from __future__ import annotations

from collections.abc import Sequence

Point = tuple[float, float]


def front(points: Sequence[Point], *, higher_is_better: bool = True) -> list[int]:
    """Return the indices of the points on the front, by rising cost.

    A point (cost, quality) is on it if none is at least as good in both and better in one; equal points are all on it.

    Args:
        higher_is_better: of quality; cost is always better where it is lower.
    """
    sign = 1.0 if higher_is_better else -1.0
    order = sorted(range(len(points)), key=lambda index: (points[index][0], -sign * points[index][1]))
    kept: list[int] = []
    for index in order:
        cost, quality = points[index]
        best = points[kept[-1]] if kept else None
        if best is None or sign * quality > sign * best[1] or (cost, quality) == best:
            kept.append(index)
    return kept

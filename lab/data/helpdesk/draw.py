"""Draws that are the same on every machine and every Python: they use nothing of `random` but `Random.random()`.

The documentation of `random` promises a stable sequence for that method only.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")


def chance(rng: Random, probability: float) -> bool:
    """Return True with `probability`."""
    return rng.random() < probability


def pick(rng: Random, options: Sequence[T]) -> T:
    """Return one of `options`, each equally likely."""
    return options[int(rng.random() * len(options))]


def shuffled(rng: Random, items: Sequence[T]) -> list[T]:
    """Return `items` in random order (Fisher-Yates)."""
    result = list(items)
    for last in range(len(result) - 1, 0, -1):
        other = int(rng.random() * (last + 1))
        result[last], result[other] = result[other], result[last]
    return result

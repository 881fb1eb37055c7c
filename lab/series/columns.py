"""Growing numeric columns, with their bounds kept as they grow: what the console and the report hold of a curve."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Bounds(NamedTuple):
    """The least and greatest finite value (None where there is none) and the number of NaN and infinite ones."""

    low: float | None
    high: float | None
    nonfinite: int


NO_BOUNDS = Bounds(None, None, 0)


def bounds(values: Sequence[float]) -> Bounds:
    """Return the bounds of `values`; all-finite input runs at C speed."""
    if not values:
        return NO_BOUNDS
    if math.isfinite(sum(values)):  # one NaN or infinity would have spread to the sum
        return Bounds(min(values), max(values), 0)
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return Bounds(None, None, len(values))
    return Bounds(min(finite), max(finite), len(values) - len(finite))


def merge(one: Bounds, other: Bounds) -> Bounds:
    """Return the bounds of two sets of values taken together."""
    lows = [low for low in (one.low, other.low) if low is not None]
    highs = [high for high in (one.high, other.high) if high is not None]
    return Bounds(min(lows, default=None), max(highs, default=None), one.nonfinite + other.nonfinite)


class Columns:
    """Two columns of the same length, `x` and `y`, to which rows are added at the end.

    Attributes:
        x, y: arrays of doubles; `y` may hold NaN and infinities.
        x_bounds, y_bounds: bounds of the finite values, kept up to date without looking at old rows again.
    """

    def __init__(self, x: Iterable[float] = (), y: Iterable[float | None] = ()) -> None:
        self.x: array[float] = array("d")
        self.y: array[float] = array("d")
        self.x_bounds = NO_BOUNDS
        self.y_bounds = NO_BOUNDS
        self.extend(x, y)

    def __len__(self) -> int:
        return len(self.x)

    def append(self, x: float, y: float | None) -> None:
        """Add one row; a `y` of None was not measured and adds nothing."""
        self.extend((x,), (y,))

    def extend(self, x: Iterable[float], y: Iterable[float | None]) -> None:
        """Add rows; those whose `y` is None are left out.

        Raises:
            ValueError: the columns differ in length; nothing is added.
        """
        left, right = list(x), list(y)
        if len(left) != len(right):
            raise ValueError(f"{len(left)} x for {len(right)} y")
        new_x = [a for a, b in zip(left, right, strict=True) if b is not None] if None in right else left
        new_y = [b for b in right if b is not None]
        self.x.extend(new_x)
        self.y.extend(new_y)
        self.x_bounds = merge(self.x_bounds, bounds(new_x))
        self.y_bounds = merge(self.y_bounds, bounds(new_y))

    def rewind(self, x: float) -> None:
        """Drop the rows from the first one beyond `x` on: a resumed run replays the steps after its checkpoint."""
        keep = next((index for index, value in enumerate(self.x) if value > x), len(self.x))
        if keep == len(self.x):
            return
        del self.x[keep:], self.y[keep:]
        self.x_bounds, self.y_bounds = bounds(self.x), bounds(self.y)

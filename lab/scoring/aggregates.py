"""Turning summed statistics into values: means and ratios, over any leading axes. Called by the scorers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from lab.series.bootstrap import Floats


def column(values: Iterable[float]) -> Floats:
    """Return the statistics of a mean over rows: (rows, 2), each row's value beside a one."""
    scores = np.fromiter(values, dtype=np.float64)
    return np.stack([scores, np.ones_like(scores)], axis=-1)


def mean(sums: Floats) -> Floats:
    """Return sum / number of rows: (..., 2) -> (...)."""
    return ratio(sums[..., 0], sums[..., 1])


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Return the quotient, NaN where the denominator is zero: nothing was measured there."""
    result = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    np.divide(numerator, denominator, out=result, where=denominator != 0)
    return result

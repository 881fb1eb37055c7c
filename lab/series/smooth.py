"""Smoothing of noisy curves for the eye: the loss as the console and the report draw it, never a number in a table."""

from __future__ import annotations

import math
from collections.abc import Iterable

from lab.errors import UsageError


class Ema:
    """An exponential moving average without the start's bias, fed value by value.

    With weight w, `s_t = w * s_(t-1) + (1 - w) * y_t` from `s_0 = 0`, and `s_t / (1 - w^t)` is the average (the
    correction of Kingma and Ba, "Adam", section 3). NaN and infinities are skipped: they neither count nor stay.

    Attributes:
        value: the average of what was fed so far; None before the first finite value.

    Raises:
        UsageError: the weight is not within [0, 1).
    """

    def __init__(self, weight: float) -> None:
        if not 0.0 <= weight < 1.0:
            raise UsageError(f"A smoothing weight of {weight} cannot be.", "Give one from 0 (off) to below 1.")
        self.weight = weight
        self.value: float | None = None
        self._sum = 0.0
        self._mass = 0.0

    def update(self, y: float) -> float:
        """Feed `y` and return the average; a `y` that is not finite comes back as it is, so that a gap stays a gap."""
        if not math.isfinite(y):
            return y
        self._sum = self.weight * self._sum + (1.0 - self.weight) * y
        self._mass = self.weight * self._mass + (1.0 - self.weight)  # equals 1 - weight^t
        self.value = self._sum / self._mass
        return self.value


def smooth(ys: Iterable[float], weight: float) -> list[float]:
    """Return `ys` smoothed by `Ema`, value for value; a weight of 0 changes nothing. Raises UsageError as `Ema`."""
    average = Ema(weight)
    return [average.update(y) for y in ys]

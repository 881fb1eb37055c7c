"""The moving average has no bias at the start and takes no harm from NaN."""

from __future__ import annotations

import math

import pytest

from lab.errors import UsageError
from lab.series.smooth import Ema, smooth

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("weight", "ys", "expected"),
    [
        (0.0, [3.0, 1.0, 2.0], [3.0, 1.0, 2.0]),
        (0.9, [4.0, 4.0, 4.0], [4.0, 4.0, 4.0]),  # a biased average would start at 0.4
        (0.5, [1.0, 4.0], [1.0, (0.5 * 0.5 * 1 + 0.5 * 4) / 0.75]),
        (0.5, [1.0, NAN, 4.0], [1.0, NAN, 3.0]),
        (0.5, [INF, 1.0, -INF, 4.0], [INF, 1.0, -INF, 3.0]),
        (0.5, [], []),
    ],
)
def test_smooth(weight: float, ys: list[float], expected: list[float]) -> None:
    assert smooth(ys, weight) == pytest.approx(expected, nan_ok=True)


def test_value_is_none_until_something_finite_came() -> None:
    average = Ema(0.6)
    average.update(NAN)
    assert average.value is None
    average.update(2.0)
    assert average.value == pytest.approx(2.0)


@pytest.mark.parametrize("weight", [-0.1, 1.0, 2.0, NAN])
def test_a_weight_that_never_forgets_is_refused(weight: float) -> None:
    with pytest.raises(UsageError, match=r"\[0|from 0"):
        Ema(weight)

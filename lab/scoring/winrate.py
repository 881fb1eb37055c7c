"""Win rates from judged pairs: plain, and with the judge's liking for length taken out. Called by `lab judge`.

A preference is 1 where the run's answer was preferred, 0 where the other was, 1/2 for a tie; a row that was judged in
both orders has the mean of both, so that a judge who always takes the first answer says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lab.series.bootstrap import Sample, interval, percentiles, units, value, weights

if TYPE_CHECKING:
    from lab.series.bootstrap import Floats

RIDGE = 1.0
"""Strength of the prior that length does not matter: it keeps the fit finite where length alone tells all."""

STEPS = 50
RESAMPLES = 1000

Rate = tuple[float, float | None, float | None]


def win_rate(preferences: Sequence[float], groups: Sequence[str], *, seed: int = 0) -> Rate:
    """Return the mean preference with its 95 % bootstrap interval, by group where rows share one."""
    from lab.scoring.aggregates import column, mean

    sample = Sample(column(preferences), mean)
    low, high = interval(sample, groups, resamples=RESAMPLES, seed=seed) or (None, None)
    return value(sample), low, high


def length_controlled(
    preferences: Sequence[float], differences: Sequence[int], groups: Sequence[str], *, seed: int = 0
) -> Rate:
    """Return the win rate that a judge would give to answers of the other side's length, with its interval.

    Dubois et al., Length-Controlled AlpacaEval, 2024, for one pair of models: P(win) = sigmoid(a + b tanh(d / s)) is
    fitted to the preferences, where d is the difference in length and s its standard deviation; sigmoid(a) is the win
    rate at no difference. Their term for each instruction's difficulty needs many models and is left out.

    Args:
        differences: characters of the run's answer less those of the other, by row.
    """
    import numpy as np

    wins, apart = np.array(preferences, dtype=np.float64), np.array(differences, dtype=np.float64)
    scale = apart.std()
    scaled = np.tanh(apart / scale) if scale > 0 else np.zeros_like(apart)
    whole = _at_no_difference(wins, scaled, np.ones_like(wins))
    if len(set(units(groups))) < 2:
        return whole, None, None
    drawn = [_at_no_difference(wins, scaled, weight) for chunk in weights(groups, RESAMPLES, seed) for weight in chunk]
    low, high = percentiles(np.array(drawn)) or (None, None)
    return whole, low, high


def _at_no_difference(wins: Floats, scaled: Floats, weight: Floats) -> float:
    """Return sigmoid(a) of the fit by Newton's method; rows count `weight` times."""
    import numpy as np

    total = float((weight * wins).sum() / weight.sum())
    if total in (0.0, 1.0):  # all alike: no intercept is large enough
        return total
    inputs = np.stack([np.ones_like(scaled), scaled], axis=1)
    penalty = np.diag([0.0, RIDGE])
    found = np.array([np.log(total / (1 - total)), 0.0])
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-inputs @ found))
        slope = inputs.T @ (weight * (wins - chance)) - penalty @ found
        curve = (inputs * (weight * chance * (1 - chance))[:, None]).T @ inputs + penalty
        step = np.linalg.solve(curve + 1e-9 * np.eye(2), slope)
        found = found + np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-10:
            break
    return float(1 / (1 + np.exp(-found[0])))

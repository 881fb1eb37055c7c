"""Win rates: ties are halves, intervals by group, and the length-controlled rate takes a liking for length out."""

from __future__ import annotations

import numpy as np
import pytest

from lab.scoring.winrate import length_controlled, win_rate


def sigmoid(value: float) -> float:
    return float(1 / (1 + np.exp(-value)))


def test_ties_are_halves_and_the_interval_holds_the_rate() -> None:
    rate, low, high = win_rate([1.0, 1.0, 0.0, 0.5] * 25, [""] * 100)
    assert rate == 0.625
    assert low is not None
    assert high is not None
    assert 0.5 < low < rate < high < 0.75


def test_rows_of_one_group_are_one_unit() -> None:
    assert win_rate([1.0, 0.0], ["a", "a"]) == (0.5, None, None)
    assert length_controlled([1.0, 0.0], [3, -3], ["a", "a"])[1:] == (None, None)


def judged(strength: float, liking: float, rows: int = 4000) -> tuple[list[float], list[int]]:
    """Draw preferences of a judge who likes length, of answers that are longer on the whole."""
    draw = np.random.default_rng(0)
    apart = np.rint(draw.normal(150, 200, rows)).astype(int)
    chances = 1 / (1 + np.exp(-(strength + liking * np.tanh(apart / apart.std()))))
    return (draw.random(rows) < chances).astype(float).tolist(), apart.tolist()


@pytest.mark.parametrize(("strength", "liking"), [(0.0, 2.0), (-0.5, 1.5), (0.8, -1.0), (0.3, 0.0)])
def test_what_length_bought_is_taken_out(strength: float, liking: float) -> None:
    preferences, apart = judged(strength, liking)
    rate, low, high = length_controlled(preferences, apart, [""] * len(apart))
    assert rate == pytest.approx(sigmoid(strength), abs=0.04)
    assert low is not None
    assert high is not None
    assert low < sigmoid(strength) < high


def test_without_it_the_longer_answers_win() -> None:
    preferences, apart = judged(0.0, 2.0)
    assert win_rate(preferences, [""] * len(apart))[0] > 0.6


def test_no_difference_in_length_leaves_the_plain_rate() -> None:
    preferences = [1.0, 0.0, 1.0, 0.5, 1.0]
    assert length_controlled(preferences, [0] * 5, [""] * 5)[0] == pytest.approx(0.7)


@pytest.mark.parametrize("all_alike", [0.0, 1.0])
def test_a_side_that_always_wins_stays_there(all_alike: float) -> None:
    assert length_controlled([all_alike] * 8, list(range(8)), [""] * 8) == (all_alike, all_alike, all_alike)


def test_length_that_tells_all_gives_a_finite_rate() -> None:
    rate, _, _ = length_controlled([1.0] * 5 + [0.0] * 5, [9] * 5 + [-9] * 5, [""] * 10)
    assert rate == pytest.approx(0.5, abs=1e-6)

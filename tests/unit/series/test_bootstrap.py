from __future__ import annotations

import math

import numpy as np
import pytest

from lab.series import bootstrap
from lab.series.bootstrap import Sample, Sparse, distributions, interval, percentiles, sums, units, value, weights


def _mean(values: list[float]) -> Sample:
    return Sample(np.array([(score, 1.0) for score in values]), lambda s: s[..., 0] / s[..., 1])


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (["", "", ""], [0, 1, 2]),
        (["a", "b", "a"], [0, 1, 0]),
        (["a", "", "a", "", "b"], [0, 1, 0, 2, 3]),
    ],
)
def test_rows_of_a_group_share_a_unit_and_rows_without_one_stand_alone(groups: list[str], expected: list[int]) -> None:
    assert units(groups) == expected


def test_a_resample_draws_as_many_units_as_there_are_and_keeps_groups_whole() -> None:
    groups = ["a", "a", "b", "", "b"]
    drawn = np.concatenate(list(weights(groups, 500, seed=1)))
    assert drawn.shape == (500, 5)
    assert (drawn[:, 0] == drawn[:, 1]).all()
    assert (drawn[:, 2] == drawn[:, 4]).all()
    assert (drawn[:, 0] + drawn[:, 2] + drawn[:, 3] == 3).all()


def test_chunks_hold_all_resamples_and_do_not_change_them(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.concatenate(list(weights([""] * 7, 50, seed=3)))
    monkeypatch.setattr(bootstrap, "_CELLS", 7 * 4)
    chunks = list(weights([""] * 7, 50, seed=3))
    assert [len(chunk) for chunk in chunks] == [4] * 12 + [2]
    assert np.array_equal(np.concatenate(chunks), whole)


def test_each_row_is_drawn_once_on_average() -> None:
    drawn = np.concatenate(list(weights([""] * 20, 4000, seed=0)))
    assert drawn.mean(axis=0) == pytest.approx(np.ones(20), abs=0.08)
    assert drawn.var(axis=0) == pytest.approx(np.full(20, 0.95), abs=0.12)  # multinomial: 1 - 1/n


def test_sparse_statistics_sum_as_the_dense_ones_they_stand_for() -> None:
    generator = np.random.default_rng(0)
    columns, values = generator.integers(0, 6, (9, 3)), generator.random((9, 3))
    dense = np.zeros((9, 6))
    for row in range(9):
        np.add.at(dense[row], columns[row], values[row])
    drawn = next(weights([""] * 9, 11, seed=0))
    assert sums(Sparse(columns, values, 6), drawn) == pytest.approx(sums(dense, drawn), abs=1e-12)


def test_the_value_is_that_of_the_rows_as_they_are() -> None:
    assert value(_mean([0.0, 1.0, 1.0, 0.5])) == 0.625


def test_a_constant_metric_has_an_interval_without_width() -> None:
    assert interval(_mean([0.25] * 30), [""] * 30) == (0.25, 0.25)


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    sample, groups = _mean(list(np.linspace(0, 1, 40))), [""] * 40
    assert interval(sample, groups, seed=1) == interval(sample, groups, seed=1)
    assert interval(sample, groups, seed=1) != interval(sample, groups, seed=2)


def test_the_interval_of_a_mean_is_near_the_normal_one() -> None:
    scores = list(np.random.default_rng(5).normal(3, 2, 400))
    error = 1.96 * np.std(scores) / math.sqrt(400)
    found = interval(_mean(scores), [""] * 400, resamples=4000)
    assert found == pytest.approx((np.mean(scores) - error, np.mean(scores) + error), abs=0.02)


def test_intervals_hold_the_truth_about_95_times_in_100() -> None:
    generator = np.random.default_rng(11)
    held = 0
    for trial in range(300):
        found = interval(_mean(list(generator.random(80) < 0.3)), [""] * 80, resamples=400, seed=trial)
        assert found is not None
        held += found[0] <= 0.3 <= found[1]
    assert 0.91 <= held / 300 <= 0.985


def test_groups_widen_the_interval_of_rows_that_repeat_each_other() -> None:
    scores = [float(score) for score in np.random.default_rng(2).random(30) for _ in range(16)]
    alone = interval(_mean(scores), [""] * 480)
    grouped = interval(_mean(scores), [str(row // 16) for row in range(480)])
    assert alone is not None
    assert grouped is not None
    widths = alone[1] - alone[0], grouped[1] - grouped[0]
    assert widths[1] / widths[0] == pytest.approx(4, rel=0.2)  # 30 independent values, not 480: sqrt(16)


@pytest.mark.parametrize("groups", [["a"] * 5, []])
def test_one_unit_leaves_the_spread_unknown(groups: list[str]) -> None:
    assert interval(_mean([0.1, 0.2, 0.3, 0.4, 0.5]), groups) is None


def test_samples_of_one_call_share_their_resamples() -> None:
    scores = list(np.random.default_rng(0).random(25))
    drawn = distributions(
        {"a": _mean(scores), "b": _mean([score + 1 for score in scores])}, [""] * 25, resamples=99, seed=0
    )
    assert drawn["b"] - drawn["a"] == pytest.approx(np.ones(99), abs=1e-12)


@pytest.mark.parametrize(
    ("distribution", "expected"),
    [
        ([1.0, 1.0, 1.0], (1.0, 1.0)),
        (list(range(1001)), (25.0, 975.0)),
        ([math.nan, 2.0, math.nan], (2.0, 2.0)),
        ([math.nan], None),
        ([], None),
        ([1.0] * 50 + [math.inf] * 50, (1.0, math.inf)),
    ],
)
def test_percentiles(distribution: list[float], expected: tuple[float, float] | None) -> None:
    found = percentiles(np.array(distribution, dtype=np.float64))
    assert found == (expected and pytest.approx(expected, abs=1e-9))

"""Downsampling keeps spikes, gaps and order, within its budget of points."""

from __future__ import annotations

import math
from array import array

import pytest

from lab.series.buckets import Bucket, downsample, line

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("ys", "count", "expected"),
    [
        ([], 3, []),
        ([5.0], 3, [Bucket(0, 0, 5.0, 5.0, 0, 0, 0, None)]),
        ([1.0, 4.0, 2.0, 3.0], 2, [Bucket(0, 1, 1.0, 4.0, 0, 1, 0, None), Bucket(2, 3, 2.0, 3.0, 2, 3, 0, None)]),
        ([4.0, NAN, 1.0], 1, [Bucket(0, 2, 1.0, 4.0, 2, 0, 1, 1)]),
        ([NAN, -INF], 1, [Bucket(0, 1, None, None, None, None, 2, 0)]),
        ([1.0, 2.0, 3.0], 2, [Bucket(0, 0, 1.0, 1.0, 0, 0, 0, None), Bucket(1, 2, 2.0, 3.0, 1, 2, 0, None)]),
    ],
)
def test_downsample(ys: list[float], count: int, expected: list[Bucket]) -> None:
    xs = [float(index) for index in range(len(ys))]
    assert downsample(xs, ys, count) == expected
    assert downsample(array("d", xs), array("d", ys), count) == expected


@pytest.mark.parametrize(("xs", "ys", "count"), [([1.0], [1.0], 0), ([1.0, 2.0], [1.0], 1)])
def test_what_cannot_be_cut_is_refused(xs: list[float], ys: list[float], count: int) -> None:
    with pytest.raises(ValueError, match=r"cannot cut|2 x for 1 y"):
        downsample(xs, ys, count)
    with pytest.raises(ValueError, match=r"cannot cut|2 x for 1 y"):
        line(xs, ys, count)


def test_every_spike_survives_and_the_budget_holds() -> None:
    ys = array("d", [1.0]) * 10_007
    spikes = {17: 50.0, 5_003: -40.0, 10_006: 60.0}
    for at, value in spikes.items():
        ys[at] = value
    cut = line(range(10_007), ys, 80)
    points = dict(zip(cut.xs, cut.ys, strict=True))
    assert {at: points[at] for at in spikes} == spikes
    assert len(cut.xs) <= 160
    assert cut.xs == sorted(cut.xs)


def test_least_and_greatest_stand_in_the_order_of_the_curve() -> None:
    cut = line(range(8), [5.0, 1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 9.0], 2)
    assert list(zip(cut.xs, cut.ys, strict=True)) == [(0, 5.0), (1, 1.0), (4, 1.0), (7, 9.0)]


def test_a_short_curve_comes_back_whole_with_its_gap() -> None:
    cut = line([1, 2, 3, 4], [1.0, INF, NAN, 2.0], 2)
    assert (cut.xs, cut.marks) == ([1, 2, 3, 4], [2, 3])
    assert [math.isnan(y) for y in cut.ys] == [False, True, True, False]


def test_in_a_long_curve_a_stray_nan_is_marked_and_a_bucket_of_them_breaks_the_line() -> None:
    ys = [float(index) for index in range(30)]
    ys[4] = INF
    ys[10:20] = [NAN] * 10
    cut = line(range(30), ys, 3)
    assert cut.marks == [4, 10]
    assert cut.xs == [0, 9, 10, 20, 29]
    assert [math.isnan(y) for y in cut.ys] == [False, False, True, False, False]


def test_a_flat_bucket_gives_one_point() -> None:
    assert line(range(6), [2.0] * 6, 2).xs == [0, 3]

"""Curves cut down to the width of a plot: the least and the greatest value of each bucket, so that spikes survive.

Called by the console's and the report's plots, whose cost is linear in the points that they are given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from lab.series.columns import bounds


class Bucket(NamedTuple):
    """A stretch of neighbouring points.

    Attributes:
        x_low, x_high: `x` of its first and its last point.
        low, high: least and greatest finite `y`; None where no `y` is finite.
        x_at_low, x_at_high: where they stand (the first of equals).
        nonfinite: how many `y` are NaN or infinite; the first of them stands at `x_nonfinite`.
    """

    x_low: float
    x_high: float
    low: float | None
    high: float | None
    x_at_low: float | None
    x_at_high: float | None
    nonfinite: int
    x_nonfinite: float | None


class Line(NamedTuple):
    """A curve ready to be drawn: NaN in `ys` breaks the line; `marks` are the `x` at which a value was not finite."""

    xs: list[float]
    ys: list[float]
    marks: list[float]


def downsample(xs: Sequence[float], ys: Sequence[float], buckets: int) -> list[Bucket]:
    """Return at most `buckets` buckets of as equal a number of points as can be, in the points' order.

    Works on arrays and lists alike; slices of finite values are handled at C speed.

    Raises:
        ValueError: `buckets` is below 1, or the columns differ in length.
    """
    if buckets < 1:
        raise ValueError(f"cannot cut a curve into {buckets} buckets")
    if len(xs) != len(ys):
        raise ValueError(f"{len(xs)} x for {len(ys)} y")
    count = min(buckets, len(ys))
    edges = [index * len(ys) // count for index in range(count + 1)] if count else []
    return [_bucket(xs, ys, start, end) for start, end in pairwise(edges)]


def _bucket(xs: Sequence[float], ys: Sequence[float], start: int, end: int) -> Bucket:
    part = ys[start:end]
    low, high, nonfinite = bounds(part)
    return Bucket(
        x_low=xs[start],
        x_high=xs[end - 1],
        low=low,
        high=high,
        x_at_low=None if low is None else xs[start + part.index(low)],
        x_at_high=None if high is None else xs[start + part.index(high)],
        nonfinite=nonfinite,
        x_nonfinite=xs[start + _first_nonfinite(part)] if nonfinite else None,
    )


def _first_nonfinite(values: Sequence[float]) -> int:
    return next(index for index, value in enumerate(values) if not math.isfinite(value))


def line(xs: Sequence[float], ys: Sequence[float], buckets: int) -> Line:
    """Return the curve with at most two points a bucket, `x` never going back.

    A curve of at most `2 * buckets` points comes back whole. In a longer one a bucket gives its least and its greatest
    value; a bucket without a finite value gives one NaN, and a bucket with some is marked but not broken.

    Raises:
        ValueError: as `downsample`.
    """
    if len(ys) <= 2 * buckets and len(xs) == len(ys):
        return _whole(xs, ys)
    cut = downsample(xs, ys, buckets)
    points = [point for bucket in cut for point in _points(bucket)]
    marks = [bucket.x_nonfinite for bucket in cut if bucket.x_nonfinite is not None]
    return Line([x for x, _ in points], [y for _, y in points], marks)


def _whole(xs: Sequence[float], ys: Sequence[float]) -> Line:
    marks = [x for x, y in zip(xs, ys, strict=True) if not math.isfinite(y)]
    return Line(list(xs), [y if math.isfinite(y) else math.nan for y in ys], marks)


def _points(bucket: Bucket) -> list[tuple[float, float]]:
    if bucket.low is None or bucket.high is None or bucket.x_at_low is None or bucket.x_at_high is None:
        return [(bucket.x_low, math.nan)]
    least, greatest = (bucket.x_at_low, bucket.low), (bucket.x_at_high, bucket.high)
    if bucket.low == bucket.high:
        return [least]
    return [least, greatest] if bucket.x_at_low <= bucket.x_at_high else [greatest, least]

"""What a chart shows, as plain values: made by the feed's thread, drawn by `widgets.chart` through `plot`.

Nothing here knows of Textual or plotext. Equal charts need no new drawing.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from lab.series.buckets import line
from lab.series.columns import Columns

MIN_SHARE = 1 / 256
SMOOTHINGS = (0.0, 0.6, 0.9)
GAP_SECONDS = 10.0


Pen = tuple[str, int]
"""What draws a curve: the role that colours it, and its turn. Where the colours begin again the next turn does, too."""


@dataclass(frozen=True)
class Curve:
    """One line of a chart. NaN in `ys` breaks it; `marks` are the x of values that were not finite.

    Each `turn` has a marker of its own: see `Pen`.
    """

    role: str
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    marks: tuple[float, ...] = ()
    turn: int = 0


@dataclass(frozen=True)
class Chart:
    """One chart, ready to be drawn at any size.

    Attributes:
        title, value, note: its heading: what, the newest value, a remark.
        curves: drawn in this order, later over earlier.
        dots: single points, as (x, y).
        x_range: the ends of the x axis.
        y_range: fixed ends of the y axis; None fits the values.
        limit: a level drawn as a dashed line.
        clock: x counts seconds, not steps.
        empty: what stands there while there is nothing to draw.
    """

    name: str
    title: str
    value: str = "-"
    note: str = ""
    curves: tuple[Curve, ...] = ()
    dots: tuple[tuple[float, float], ...] = ()
    x_range: tuple[float, float] = (0.0, 1.0)
    y_range: tuple[float, float] | None = None
    limit: float | None = None
    log: bool = False
    clock: bool = False
    cursor: float | None = None
    empty: str = "nothing yet"

    @property
    def drawable(self) -> bool:
        """Whether any value is finite, and above zero for a logarithmic axis."""
        points = [y for curve in self.curves for y in curve.ys] + [y for _, y in self.dots]
        return any(math.isfinite(y) and (y > 0 or not self.log) for y in points)


def cut(role: str, columns: Columns, x_range: tuple[float, float], buckets: int) -> Curve:
    """Return the part of `columns` within `x_range`, with at most two points for each of `buckets`."""
    start = max(bisect_left(columns.x, x_range[0]) - 1, 0)
    end = min(bisect_right(columns.x, x_range[1]) + 1, len(columns.x))
    whole = start == 0 and end == len(columns.x)
    xs, ys = (columns.x, columns.y) if whole else (columns.x[start:end], columns.y[start:end])
    drawn = line(xs, ys, max(buckets, 1))
    return Curve(role, tuple(drawn.xs), tuple(drawn.ys), tuple(drawn.marks))


def step_range(first: float, last: float, total: int | None, share: float) -> tuple[float, float]:
    """Return the steps that the x axis covers: all, up to the planned end, or the newest `share` of those done."""
    if share >= 1.0:
        return (min(first, 1.0), float(max(total or 0, last, 2.0)))
    return (last - max((last - first) * share, 2.0), last)


def nearest(columns: Columns, x: float) -> float | None:
    """Return the y of the row that is closest to `x`; None where there are no rows."""
    if not len(columns):
        return None
    right = bisect_left(columns.x, x)
    places = [i for i in (right - 1, right) if 0 <= i < len(columns)]
    return columns.y[min(places, key=lambda i: abs(columns.x[i] - x))]


def y_bounds(chart: Chart) -> tuple[float, float]:
    """Return the ends of the y axis: fixed ones, or those of the finite values with a tenth of room around.

    Values that never fall below zero do not get an axis that does. On a logarithmic axis the ends are exponents.
    """
    if chart.y_range is not None and not chart.log:
        return chart.y_range
    values = scaled([y for curve in chart.curves for y in curve.ys] + [y for _, y in chart.dots], chart.log)
    finite = [y for y in values if math.isfinite(y)]
    low, high = min(finite), max(finite)
    room = (high - low) * 0.1 or abs(high) * 0.1 or 1.0
    floor = 0.0 if low >= 0 and not chart.log else -math.inf
    return max(low - room, floor), high + room


def scaled(values: Sequence[float], log: bool) -> list[float]:
    """Return `values` as they are drawn: exponents of ten on a logarithmic axis, NaN for what has no place."""
    if not log:
        return [y if math.isfinite(y) else math.nan for y in values]
    return [math.log10(y) if math.isfinite(y) and y > 0 else math.nan for y in values]


def ticks(low: float, high: float, count: int) -> list[float]:
    """Return at most about `count` round values between `low` and `high`: steps of 1, 2 or 5 times a power of ten."""
    span = high - low
    if not math.isfinite(span) or span <= 0 or count < 1:
        return []
    raw = span / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [n * step for n in range(first, last + 1)]

"""Curves and points: losses, power, memory, rank against quality, quality against cost. Called by the report's page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lab.compare.report.frame import BOTTOM, RIGHT, TOP, Axis, Frame, badge
from lab.compare.report.markup import Markup, element
from lab.compare.report.pareto import front
from lab.compare.report.ticks import outward
from lab.series.buckets import Line, line

BUCKETS = 180
"""Of a curve: two points each, more than a column of the page has pixels."""

BADGE = 17.0
"""Height of a number in its ring, and the distance at which two of them are told apart."""


@dataclass(frozen=True)
class Series:
    """One curve; NaN in `ys` breaks it.

    Attributes:
        style: "line", "dashed", "faint" (a raw curve behind its smoothed one) or "dots" (few measured points).
    """

    number: int
    shade: str
    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    style: str = "line"


@dataclass(frozen=True)
class Spot:
    """One row in a plane of cost and quality, with the interval of its quality."""

    number: int
    shade: str
    name: str
    x: float
    y: float
    low: float | None = None
    high: float | None = None


def curves(series: Sequence[Series], x_title: str, y_title: str, *, zero: bool = False) -> Markup | None:
    """Return the curves in one frame; None where nothing finite is to be drawn.

    Args:
        zero: begin the y axis at zero.
    """
    cut = [(s, line(s.xs, s.ys, BUCKETS)) for s in series]
    xs = [x for _, c in cut for x in c.xs]
    ys = [y for _, c in cut for y in c.ys if math.isfinite(y)]
    if not ys:
        return None
    low, high = outward(min(0.0, *ys) if zero else min(ys), max(ys))
    frame = Frame(Axis(x_title, min(xs), max(xs)), Axis(y_title, low, high))
    parts = [part for s, c in cut for part in _curve(frame, s, c.xs, c.ys, c.marks)]
    ends = [(s, c) for s, c in cut if s.style in ("line", "dots")]
    return frame.draw(*parts, *_end_badges(frame, ends), label=f"{y_title} over {x_title}")


def scatter(
    spots: Sequence[Spot], x_title: str, y_title: str, *, higher_is_better: bool = True
) -> tuple[Markup, list[int]]:
    """Return the points, at least one, with their Pareto front as stairs, and the indices of the points on it."""
    bounds = [v for s in spots for v in (s.low, s.high, s.y) if v is not None and math.isfinite(v)]
    x_low, x_high = outward(min(0.0, *(s.x for s in spots)), max(s.x for s in spots))
    frame = Frame(Axis(x_title, x_low, x_high), Axis(y_title, *outward(min(bounds), max(bounds))))
    best = front([(spot.x, spot.y) for spot in spots], higher_is_better=higher_is_better)
    parts = [_stairs(frame, [spots[index] for index in best])] if len(best) > 1 else []
    parts += [_whisker(frame, spot) for spot in spots]
    parts += [_spot(frame, spot, solid=index in best) for index, spot in enumerate(spots)]
    return frame.draw(*parts, label=f"{y_title} against {x_title}"), best


def ranks(lines: Sequence[Sequence[Spot]], levels: Sequence[Spot], y_title: str) -> Markup:
    """Return quality over the adapter's rank, on a logarithmic axis that is marked where ranks were tried.

    Args:
        lines: points with their rank as `x`, by rising rank; lines stand a little apart so that equal ones are seen.
        levels: rows without a rank, drawn across, their `x` without meaning: the baseline, full fine-tuning.
    """
    spots = [spot for own in lines for spot in own]
    bounds = [v for s in spots for v in (s.low, s.high, s.y) if v is not None] + [level.y for level in levels]
    marks = tuple((math.log2(rank), f"{rank:g}") for rank in sorted({spot.x for spot in spots}))
    x = Axis("rank (logarithmic)", marks[0][0] - 0.4, marks[-1][0] + 0.4, marks)
    frame = Frame(x, Axis(y_title, *outward(min(bounds), max(bounds))))
    parts = _levels(frame, levels)
    apart = min((x.high - x.low) / 20, 0.8 / len(lines))
    for place, own in enumerate(lines):
        shift = (place - (len(lines) - 1) / 2) * apart
        moved = [replace(spot, x=math.log2(spot.x) + shift) for spot in own]
        path = _path(frame, [spot.x for spot in moved], [spot.y for spot in moved])
        parts.append(element("path", d=path, class_=f"curve line {own[0].shade}"))
        parts += [_whisker(frame, spot) for spot in moved]
        parts += [_spot(frame, spot, solid=False) for spot in moved]
    return frame.draw(*parts, label=f"{y_title} over rank")


def _curve(
    frame: Frame, series: Series, xs: Sequence[float], ys: Sequence[float], marks: Sequence[float]
) -> list[Markup]:
    path = element("path", d=_path(frame, xs, ys), class_=f"curve {series.style} {series.shade}")
    named = element("g", element("title", series.name), path)
    _, floor = frame.at(frame.x.low, frame.y.low)
    crosses = [element("text", "×", x=frame.at(x, 0)[0], y=floor - 4, class_="fault") for x in marks]
    return [named, *crosses]


def _path(frame: Frame, xs: Sequence[float], ys: Sequence[float]) -> str:
    steps, drawing = [], False
    for x, y in zip(xs, ys, strict=True):
        if not math.isfinite(y):
            drawing = False
            continue
        across, down = frame.at(x, y)
        steps.append(f"{'L' if drawing else 'M'}{across:.1f} {down:.1f}")
        drawing = True
    return "".join(steps)


def _end_badges(frame: Frame, series: Sequence[tuple[Series, Line]]) -> list[Markup]:
    """Return each curve's number at its end; those that end together stand one below the other, beside the plot."""
    found: list[Markup] = []
    edge: list[tuple[float, Series]] = []
    for s, cut in series:
        last = next((index for index in reversed(range(len(cut.ys))) if math.isfinite(cut.ys[index])), None)
        if last is None:
            continue
        x, y = frame.at(cut.xs[last], cut.ys[last])
        if x > frame.width - RIGHT - BADGE:
            edge.append((y, s))
        else:
            found.append(badge(x, y, s.number, s.shade))
    edge.sort(key=lambda place: place[0])
    places = spread([y for y, _ in edge], BADGE, TOP, frame.height - BOTTOM)
    marks = [badge(frame.width - RIGHT + 12, y, s.number, s.shade) for y, (_, s) in zip(places, edge, strict=True)]
    return [*found, *marks]


def spread(places: Sequence[float], apart: float, low: float, high: float) -> list[float]:
    """Return ascending `places` moved so that neighbours are `apart`, those that crowd around their common middle.

    They stay within `low` and `high`; where more come than fit they stand closer.
    """
    gap = min(apart, (high - low) / max(1, len(places) - 1))
    groups: list[list[float]] = []  # of places that share one stack
    for place in places:
        groups.append([place])
        while len(groups) > 1:
            above, below = groups[-2:]
            if _first(below, gap, low, high) >= _first(above, gap, low, high) + gap * len(above):
                break
            groups[-2:] = [[*above, *below]]
    return [_first(group, gap, low, high) + gap * index for group in groups for index in range(len(group))]


def _first(group: Sequence[float], gap: float, low: float, high: float) -> float:
    """Return where a stack begins: its middle is that of its places, but it stays within the bounds."""
    height = gap * (len(group) - 1)
    return min(max(sum(group) / len(group) - height / 2, low), high - height)


def _stairs(frame: Frame, spots: Sequence[Spot]) -> Markup:
    points = [frame.at(spot.x, spot.y) for spot in spots]
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}" + "".join(f"H{x:.1f}V{y:.1f}" for x, y in points[1:])
    return element("path", d=path, class_="front")


def _whisker(frame: Frame, spot: Spot) -> Markup:
    if spot.low is None or spot.high is None:
        return element("g")
    x, top = frame.at(spot.x, spot.high)
    _, bottom = frame.at(spot.x, spot.low)
    return element("line", x1=x, x2=x, y1=top, y2=bottom, class_=f"interval {spot.shade}")


def _spot(frame: Frame, spot: Spot, *, solid: bool) -> Markup:
    return element(
        "g", element("title", spot.name), badge(*frame.at(spot.x, spot.y), spot.number, spot.shade, solid=solid)
    )


def _levels(frame: Frame, levels: Sequence[Spot]) -> list[Markup]:
    """Return a line across for each row, its number beside the plot."""
    below = sorted(levels, key=lambda level: -level.y)
    ys = [frame.at(frame.x.low, level.y)[1] for level in below]
    (x1, _), (x2, _) = frame.at(frame.x.low, frame.y.low), frame.at(frame.x.high, frame.y.low)
    found = []
    for y, place, level in zip(ys, spread(ys, BADGE, TOP, frame.height - BOTTOM), below, strict=True):
        line = element("line", x1=x1, x2=x2, y1=y, y2=y, class_="mark")
        mark = badge(x2 + 12, place, level.number, level.shade)
        found.append(element("g", element("title", level.name), line, mark))
    return found

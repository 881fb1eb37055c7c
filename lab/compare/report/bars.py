"""Bars of the rows of a table, one metric a chart, with their intervals. Called by the report's page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lab.compare.report.frame import badge, drawing
from lab.compare.report.markup import Markup, element, join
from lab.compare.report.ticks import outward, tick_label, ticks
from lab.text import clip

WIDTH = 420.0
LEFT, RIGHT, TOP, ROW, BOTTOM = 26.0, 14.0, 36.0, 34.0, 22.0
NAME_WIDTH = 34


@dataclass(frozen=True)
class Bar:
    """One row: `low` and `high` are its interval, `text` the value as the table writes it."""

    number: int
    shade: str
    name: str
    value: float
    text: str
    low: float | None = None
    high: float | None = None
    best: bool = False


def bar_chart(title: str, scale: str, bars: Sequence[Bar], *, marks: Sequence[tuple[str, float]] = ()) -> Markup:
    """Return horizontal bars from zero, names above them, so that long names do not take the bars' room.

    Args:
        title: what is shown.
        scale: its unit and which way is better.
        marks: (name, value) of vertical lines that rows are held against: the floor.
    """
    tops = [bar.high if bar.high is not None else bar.value for bar in bars] + [value for _, value in marks]
    bottoms = [bar.low if bar.low is not None else bar.value for bar in bars]
    low, high = outward(min(0.0, *bottoms), max(0.0, *tops))
    height = TOP + ROW * len(bars) + BOTTOM
    across = WIDTH - LEFT - RIGHT

    def at(value: float) -> float:
        return LEFT + (value - low) / (high - low) * across

    found = ticks(low, high)
    step = found[1] - found[0] if len(found) > 1 else 1.0
    grid = [_grid_line(at(value), height, tick_label(value, step)) for value in found]
    lines = [_mark(at(value), height, name) for name, value in marks]
    rows = [_row(bar, TOP + ROW * index, at(bar.value), at(0.0), _span(bar, at)) for index, bar in enumerate(bars)]
    head = element("text", scale, x=4, y=14, class_="title")
    return drawing(head, *grid, *rows, *lines, width=WIDTH, height=height, label=f"{title}, {scale}")


def _span(bar: Bar, at: Callable[[float], float]) -> tuple[float, float] | None:
    return None if bar.low is None or bar.high is None else (at(bar.low), at(bar.high))


def _grid_line(x: float, height: float, text: str) -> Markup:
    line = element("line", x1=x, x2=x, y1=TOP - 6, y2=height - BOTTOM, class_="grid")
    return join([line, element("text", text, x=x, y=height - 6, text_anchor="middle", class_="tick")])


def _mark(x: float, height: float, name: str) -> Markup:
    line = element("line", x1=x, x2=x, y1=TOP - 6, y2=height - BOTTOM, class_="mark")
    return join([line, element("text", name, x=x + 3, y=TOP - 7, class_="tick")])


def _row(bar: Bar, top: float, end: float, zero: float, span: tuple[float, float] | None) -> Markup:
    middle = top + 22
    parts = [
        badge(12.0, middle - 5, bar.number, bar.shade, solid=bar.best),
        element("text", clip(bar.name, NAME_WIDTH), x=LEFT, y=top + 11, class_="name"),
        element("text", bar.text, x=WIDTH - RIGHT, y=top + 11, text_anchor="end", class_="value"),
        element("rect", x=min(zero, end), y=middle - 6, width=abs(end - zero), height=12.0, class_=f"bar {bar.shade}"),
    ]
    if span is not None:
        low, high = span
        path = f"M{low:.1f} {middle - 4:.1f}v8M{high:.1f} {middle - 4:.1f}v8M{low:.1f} {middle:.1f}H{high:.1f}"
        parts.append(element("path", d=path, class_="whisker"))
    return element("g", element("title", f"{bar.name}: {bar.text}"), *parts)

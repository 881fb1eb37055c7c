"""The frame of a chart: scales, grid, axis titles with units. Called by the charts; everything is in SVG units.

One unit is a CSS pixel at the width the charts are drawn for, so text keeps its size from phone to desktop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab.compare.report.markup import Markup, element, join
from lab.compare.report.ticks import tick_label, ticks

WIDTH = 420.0
HEIGHT = 270.0
LEFT, RIGHT, TOP, BOTTOM = 50.0, 24.0, 26.0, 44.0


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        title: what it shows, with its unit: `peak memory (GB)`.
        marks: (value, text) in place of round numbers, where only some values occur.
    """

    title: str
    low: float
    high: float
    marks: tuple[tuple[float, str], ...] = ()

    def share(self, value: float) -> float:
        """Return where `value` lies between the axis's ends, 0 to 1."""
        return (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5

    def labelled(self) -> Sequence[tuple[float, str]]:
        """Return (value, text) of each grid line."""
        if self.marks:
            return self.marks
        found = ticks(self.low, self.high)
        step = found[1] - found[0] if len(found) > 1 else abs(self.low) or 1.0
        return [(value, tick_label(value, step)) for value in found]


@dataclass(frozen=True)
class Frame:
    """A plotting area with its two axes."""

    x: Axis
    y: Axis
    width: float = WIDTH
    height: float = HEIGHT

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return the place of a point on the drawing."""
        across, up = self.width - LEFT - RIGHT, self.height - TOP - BOTTOM
        return LEFT + self.x.share(x) * across, self.height - BOTTOM - self.y.share(y) * up

    def draw(self, *content: Markup, label: str) -> Markup:
        """Return the chart as an `<svg>`; `label` is what a screen reader says."""
        return drawing(self._grid(), *content, width=self.width, height=self.height, label=label)

    def _grid(self) -> Markup:
        right, bottom = self.width - RIGHT, self.height - BOTTOM
        parts: list[Markup] = []
        for value, text in self.y.labelled():
            _, y = self.at(self.x.low, value)
            parts.append(element("line", x1=LEFT, x2=right, y1=y, y2=y, class_="grid"))
            parts.append(element("text", text, x=LEFT - 6, y=y + 4, text_anchor="end", class_="tick"))
        for value, text in self.x.labelled():
            x, _ = self.at(value, self.y.low)
            parts.append(element("line", x1=x, x2=x, y1=bottom, y2=bottom + 4, class_="axis"))
            parts.append(element("text", text, x=x, y=bottom + 17, text_anchor="middle", class_="tick"))
        parts.append(element("line", x1=LEFT, x2=right, y1=bottom, y2=bottom, class_="axis"))
        parts.append(element("text", self.y.title, x=4, y=14, class_="title"))
        parts.append(element("text", self.x.title, x=right, y=self.height - 8, text_anchor="end", class_="title"))
        return join(parts)


def drawing(*content: Markup, width: float, height: float, label: str) -> Markup:
    """Return an `<svg>` that scales with its column."""
    return element(
        "svg",
        element("title", label),
        *content,
        viewbox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_label=label,
        class_="chart",
    )


def badge(x: float, y: float, number: int, shade: str, *, solid: bool = False) -> Markup:
    """Return a run's number in a ring of its colour: told apart without seeing colours."""
    ring = element("circle", cx=x, cy=y, r=8.0, class_=f"badge {shade}" + (" solid" if solid else ""))
    return join([ring, element("text", str(number), x=x, y=y + 3.6, text_anchor="middle", class_="number")])

"""A chart on a page: a heading and the drawing under it, painted only when the chart or its size changes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from lab.console.charts import Chart, Pen
from lab.console.looks import Looks
from lab.console.plot import ASCII, UNICODE, Cell, draw
from lab.console.widgets.parts import Part, fit, width_of

LEGEND_GAP = 3
HEADING = 1
"""Lines above the drawing."""
STYLES = {
    "blank": "",
    "label": "$quiet",
    "axis": "$rule",
    "dot": "bold $accent",
    "bad": "bold $error",
    "limit": "$quiet",
    "cursor": "$foreground",
} | {name: f"$curve-{name}" for name in ("raw", "main", "second", "third", "fourth", "fifth", "sixth")}


class ChartView(Widget):
    """Draws the chart that it is given last."""

    DEFAULT_CSS = "ChartView { height: 1fr; width: 1fr; }"

    class Resized(Message):
        """There is more room for the chart, or less."""

    def __init__(self, name: str, *, plain: bool = False) -> None:
        super().__init__(id=f"chart-{name.replace('_', '-')}", name=name)
        self.chart = Chart(name, name.replace("_", " "))
        self._glyphs = ASCII if plain else UNICODE

    def on_resize(self) -> None:
        self.post_message(self.Resized())

    def put(self, chart: Chart) -> None:
        """Show `chart`; nothing is painted if it is shown already."""
        if chart != self.chart:
            self.chart = chart
            self.refresh()

    def render(self) -> Content:
        width, height = self.size
        head = heading(self.chart, width, self._glyphs.floor)
        rows = draw(self.chart, width, height - HEADING, self._glyphs) if height > HEADING else []
        return Content("\n").join([Content.assemble(*head), *(Content.assemble(*runs(row)) for row in rows)])


def heading(chart: Chart, width: int, rule: str) -> list[Part]:
    """Return `title  value  note ────`."""
    parts: list[Part] = [
        (chart.title, "bold"),
        (" ", ""),
        (chart.value, f"bold {STYLES[chart.curves[-1].role]}" if chart.curves else ""),
    ]
    parts += [(f"  {chart.note}", "$quiet")] if chart.note else []
    left = width - width_of(parts) - 2
    return [*parts, (" ", ""), (rule * left, "$rule")] if left > 0 else fit(parts, (), width)


def legend_lines(drawn: Sequence[tuple[Pen, str]], width: int, most: int, looks: Looks) -> list[list[Part]]:
    """Return what draws whom, in at most `most` lines of `width` columns; the last one counts those left out."""
    glyphs = ASCII if looks.plain else UNICODE
    lines: list[list[Part]] = [[]]
    for index, ((role, turn), label) in enumerate(drawn):
        item: list[Part] = [(glyphs.sample(turn), STYLES[role]), (f" {label}", "")]
        left = len(drawn) - index
        after = LEGEND_GAP + len(f"and {left - 1} more") if left > 1 else 0
        if len(lines) == most and width_of([*lines[-1], *item]) + after > width:
            lines[-1].append((f"and {left} more", "$quiet"))
            break
        if lines[-1] and width_of([*lines[-1], *item]) > width:
            lines.append([])
        lines[-1] += [*item, (" " * LEGEND_GAP, "")]
    return lines


def runs(row: Sequence[Cell]) -> list[Part]:
    """Return a row of cells as parts: neighbours of one role together."""
    return [("".join(c for c, _ in cells), STYLES[role]) for role, cells in groupby(row, key=lambda cell: cell[1])]

"""Charts as rows of characters: the one module that knows plotext.

plotext draws the lines; labels, marks, the limit and the cursor are laid over them here. Its traps are kept away from
it: infinities raise, and so does a logarithmic axis at zero, so it only ever gets finite numbers and NaN (a gap).
"""

from __future__ import annotations

import math
import re
import threading
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from lab.console.charts import Chart, Curve, scaled, ticks, y_bounds
from lab.text import duration, short_count

LABEL_WIDTH = 6
ROLES = ("blank", "raw", "main", "second", "third", "fourth", "fifth", "sixth")
_FIGURE = threading.Lock()
"""plotext has one figure for all: the feed's thread and the screen take turns."""
_SGR = re.compile(r"\x1b\[([0-9;]*)m")

Cell = tuple[str, str]
"""A character and the role that colours it."""


@dataclass(frozen=True)
class Glyphs:
    """The characters that a terminal can show. `turns` stand on the lines whose colours are used a second time, a
    third ..."""

    marker: str = "braille"
    thin: str = "braille"
    tick: str = "┤"
    axis: str = "│"
    corner: str = "└"
    floor: str = "─"
    notch: str = "┴"
    dot: str = "◆"
    bad: str = "×"
    cursor: str = "│"
    dash: str = "╌"
    line: str = "━"
    turns: str = "o+="

    def mark(self, turn: int) -> str:
        """Return what stands on the lines of a turn; empty for the first."""
        return self.turns[(turn - 1) % len(self.turns)] if turn else ""

    def sample(self, turn: int) -> str:
        """Return a piece of a line of that turn, for legends."""
        return self.line + (self.mark(turn) or self.line) + self.line


UNICODE = Glyphs()
ASCII = Glyphs("*", ".", "+", "|", "+", "-", "+", "o", "x", "|", "-", "*")
MARKS_APART = 9
"""Columns between two marks of a line."""


@lru_cache(maxsize=16)
def draw(chart: Chart, width: int, height: int, glyphs: Glyphs = UNICODE) -> Sequence[Sequence[Cell]]:
    """Return `chart` as at most `height` rows of at most `width` cells; one row of text where nothing can be drawn.

    What was drawn is kept: the feed's thread draws first, and the screen, which keys wait for, finds it here.
    """
    if width < LABEL_WIDTH + 4 or height < 2 or not chart.drawable:
        text = chart.empty if not chart.curves or height < 2 else "no finite values yet"
        return [[(c, "label") for c in text[: max(width, 0)]]]
    floor = height >= 5
    inner_width, inner_height = width - LABEL_WIDTH - 1, height - (2 if floor else 0)
    low, high = y_bounds(chart)
    with _FIGURE:
        cells = _canvas(chart, (low, high), inner_width, inner_height, glyphs)
    _overlay(cells, chart, (low, high), glyphs)
    rows = _with_labels(cells, chart, (low, high), glyphs)
    return rows + (_floor(chart, inner_width, glyphs) if floor else [])


def _canvas(chart: Chart, y_range: tuple[float, float], width: int, height: int, glyphs: Glyphs) -> list[list[Cell]]:
    """Return the lines alone, drawn by plotext: `height` rows of `width` cells."""
    import plotext

    plotext.clear_figure()
    plotext.limit_size(False, False)
    plotext.plot_size(width, height)
    plotext.theme("clear")
    plotext.xaxes(False, False)
    plotext.yaxes(False, False)
    plotext.xticks([])
    plotext.yticks([])
    plotext.xlim(*chart.x_range)
    plotext.ylim(*y_range)
    for curve in chart.curves:
        _add(plotext, chart, curve, glyphs)
    rows = [_cells(line, width) for line in plotext.build().split("\n")[:height]]
    return rows + [[(" ", "blank")] * width for _ in range(height - len(rows))]


def _add(plotext: object, chart: Chart, curve: Curve, glyphs: Glyphs) -> None:
    ys = scaled(curve.ys, chart.log)
    marker = glyphs.thin if curve.role == "raw" else glyphs.marker
    colour = ROLES.index(curve.role)
    if any(math.isfinite(y) for y in ys):
        single = sum(math.isfinite(y) for y in ys) == 1
        plot = plotext.scatter if single else plotext.plot  # type: ignore[attr-defined]
        plot(list(curve.xs), ys, marker=marker, color=colour)


def _cells(line: str, width: int) -> list[Cell]:
    """Turn a line of plotext's output into cells: its colour numbers are our roles."""
    cells: list[Cell] = []
    role, position = "blank", 0
    for code in _SGR.finditer(line):
        cells += [(c, role) for c in line[position : code.start()]]
        role, position = _role(code[1]), code.end()
    cells += [(c, role) for c in line[position:]]
    return (cells + [(" ", "blank")] * width)[:width]


def _role(code: str) -> str:
    last = code.rpartition(";")[2]
    return ROLES[int(last)] if code.startswith("38;5;") and int(last) < len(ROLES) else "blank"


def _overlay(cells: list[list[Cell]], chart: Chart, y_range: tuple[float, float], glyphs: Glyphs) -> None:
    """Lay marks of turns, limit, cursor, single points and the signs of values that were not finite over the lines."""
    height, width = len(cells), len(cells[0])
    for number, curve in enumerate(chart.curves):
        for column in range(number % MARKS_APART, width if curve.turn else 0, MARKS_APART):
            up = _place(_level(curve, column / max(width - 1, 1), chart), y_range, height)
            if up is not None:
                _put(cells, height - 1 - up, column, (glyphs.mark(curve.turn), curve.role), over=True)
    level = None if chart.limit is None else _place(chart.limit, y_range, height)
    for column in range(width) if level is not None else ():
        _put(cells, height - 1 - (level or 0), column, (glyphs.dash, "limit"), over=False)
    reading = None if chart.cursor is None else _place(chart.cursor, chart.x_range, width)
    for row in range(height) if reading is not None else ():
        _put(cells, row, reading or 0, (glyphs.cursor, "cursor"), over=False)
    for x, y in zip((x for x, _ in chart.dots), scaled([y for _, y in chart.dots], chart.log), strict=True):
        across, up = _place(x, chart.x_range, width), _place(y, y_range, height)
        if across is not None and up is not None:
            _put(cells, height - 1 - up, across, (glyphs.dot, "dot"), over=True)
    for x in {mark for curve in chart.curves for mark in curve.marks}:
        across = _place(x, chart.x_range, width)
        if across is not None:
            _put(cells, 0, across, (glyphs.bad, "bad"), over=True)


def _level(curve: Curve, share: float, chart: Chart) -> float:
    """Return where the curve stands at that share of the x axis, as it is drawn; NaN where it does not."""
    low, high = chart.x_range
    x = low + share * (high - low)
    right = min(max(bisect_left(curve.xs, x), 1), len(curve.xs) - 1)
    if right < 1 or not curve.xs[0] <= x <= curve.xs[-1]:
        return math.nan
    (before, after), (one, other) = curve.xs[right - 1 : right + 1], scaled(curve.ys[right - 1 : right + 1], chart.log)
    return one + (other - one) * ((x - before) / (after - before) if after > before else 0.0)


def _place(value: float, ends: tuple[float, float], cells: int) -> int | None:
    """Return the cell in which `value` falls, counted from the low end; None outside."""
    low, high = ends
    if not low <= value <= high or high <= low:
        return None
    return round((value - low) / (high - low) * (cells - 1))


def _put(cells: list[list[Cell]], row: int, column: int, cell: Cell, *, over: bool) -> None:
    if over or cells[row][column][0] in " \u2800":
        cells[row][column] = cell


def _with_labels(
    cells: list[list[Cell]], chart: Chart, y_range: tuple[float, float], glyphs: Glyphs
) -> list[list[Cell]]:
    height = len(cells)
    labels: dict[int, str] = {}
    for value in ticks(*y_range, max(height // 2, 2)):
        up = _place(value, y_range, height)
        if up is not None:
            labels[height - 1 - up] = short_number(10**value if chart.log else value)
    return [
        [(c, "label") for c in labels.get(row, "").rjust(LABEL_WIDTH)[:LABEL_WIDTH]]
        + [(glyphs.tick if row in labels else glyphs.axis, "axis"), *line]
        for row, line in enumerate(cells)
    ]


def _floor(chart: Chart, width: int, glyphs: Glyphs) -> list[list[Cell]]:
    """Return the x axis and its labels: left end, right end, and the middle where there is room."""
    low, high = chart.x_range
    show = duration if chart.clock else short_step
    left, right, middle = show(low), show(high), show((low + high) / 2)
    places = {0: left, width - len(right): right}
    if width >= len(left) + len(right) + len(middle) + 8:
        places[width // 2 - len(middle) // 2] = middle
    notches = {0, width - 1} | ({width // 2} if len(places) == 3 else set())
    line = "".join(glyphs.notch if c in notches else glyphs.floor for c in range(width))
    text = [" "] * width
    for place, label in places.items():
        text[place : place + len(label)] = label
    pad = [(" ", "label")] * LABEL_WIDTH
    axis = [(c, "axis") for c in glyphs.corner + line]
    return [pad + axis, [*pad, (" ", "label"), *((c, "label") for c in text[:width])]]


def short_step(value: float) -> str:
    return f"{value:.0f}" if abs(value) < 10_000 else short_count(value)


def short_number(value: float) -> str:
    """Return a tick's label in at most six characters: 0.15, 1.5, 250, 12k, 2e-05."""
    if value == 0:
        return "0"
    if 10_000 <= abs(value) < 1e11:
        return short_count(value)
    if abs(value) < 0.001 or abs(value) >= 1e11:
        return f"{value:.0e}"
    return f"{value:.4g}"

"""Lines of cells in columns, fitted to a width by giving up the less important. Called by the text view."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lab.compare.columns import Column
from lab.compare.views.cells import BRACKETS, FULL, HALF, PLAIN, Glyphs
from lab.text import clip, display_width, pad

GAP = "  "
SHORT_NAME = 12
UNLIMITED = 1 << 30
Cells = list[list[str]]
Fill = Callable[[Sequence[Column], int], Cells]
"""Returns header and rows for some columns at a level of detail; the first cells of each line are its heads."""


@dataclass(frozen=True)
class Block:
    """What came of fitting: the lines, the detail that fitted, and the columns that did not."""

    lines: list[str]
    detail: int
    dropped: list[Column]


def fitted(fill: Fill, columns: Sequence[Column], heads: int, width: int | None, glyphs: Glyphs) -> Block:
    """Return the grid with as much detail as `width` has room for.

    Digits of intervals go first, then all heads but a short name, then columns from the last, then intervals.

    Args:
        heads: how many cells at the start of each line are aligned left.
        width: in terminal columns; None has room for all.
    """
    limit = UNLIMITED if width is None else width
    for detail in (FULL, BRACKETS, HALF):
        cells = fill(columns, detail)
        if _width(cells) <= limit:
            return Block(_drawn(cells, heads), detail, [])
    for count in range(len(columns), 0, -1):
        cells = _shortened(fill(columns[:count], HALF), heads, max(SHORT_NAME, limit // 4), glyphs)
        if _width(cells) <= limit:
            return Block(_drawn(cells, 1), HALF, [*columns[count:]])
    cells = fill(columns[:1], PLAIN)
    cells = _shortened(cells, heads, max(4, limit - _width([line[heads:] for line in cells]) - len(GAP)), glyphs)
    return Block([_clip(line, limit, glyphs) for line in _drawn(cells, 1)], PLAIN, [*columns[1:]])


def _widths(cells: Cells) -> list[int]:
    return [max(map(display_width, column)) for column in zip(*cells, strict=True)]


def _width(cells: Cells) -> int:
    widths = _widths(cells)
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _drawn(cells: Cells, heads: int) -> list[str]:
    widths = _widths(cells)
    return [
        GAP.join(pad(text, widths[at], right=at >= heads) for at, text in enumerate(line)).rstrip() for line in cells
    ]


def _shortened(cells: Cells, heads: int, room: int, glyphs: Glyphs) -> Cells:
    """Leave only the first of the heads, the names, and cut them to `room` columns."""
    return [[_clip(line[0], room, glyphs), *line[heads:]] for line in cells]


def _clip(text: str, width: int, glyphs: Glyphs) -> str:
    return clip(text, width).replace("…", glyphs.ellipsis)

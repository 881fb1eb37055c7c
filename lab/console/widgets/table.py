"""A list with columns: rows are plain values, only those in sight are drawn, columns without room are left out."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from textual import events
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from lab.console.widgets.parts import Part, width_of
from lab.text import clip, display_width, pad


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        width: columns of the terminal; of a flexible column the least.
        flexible: takes what is left over; the first such column only.
        right: aligned right.
        rank: 0 is always there; the highest rank goes first where the line is too narrow.
    """

    name: str
    title: str
    width: int
    right: bool = False
    flexible: bool = False
    rank: int = 0


@dataclass(frozen=True)
class Row:
    """A row: its key, and the parts of each cell, in the order of all columns. A heading has no key and one cell."""

    key: Hashable | None
    cells: tuple[tuple[Part, ...], ...]


GAP = 2


def layout(columns: Sequence[Column], width: int) -> list[tuple[int, int]]:
    """Return (index, width) of the columns that fit into `width`, the flexible one widened to fill the line."""
    kept = list(range(len(columns)))
    while kept and _needed(columns, kept) > width and any(columns[i].rank for i in kept):
        worst = max(columns[i].rank for i in kept)
        kept.remove(next(i for i in reversed(kept) if columns[i].rank == worst))
    spare = width - _needed(columns, kept)
    flexible = next((i for i in kept if columns[i].flexible), None)
    return [(i, max(columns[i].width + (spare if i == flexible else 0), 1)) for i in kept]


def _needed(columns: Sequence[Column], kept: Sequence[int]) -> int:
    return sum(columns[i].width for i in kept) + GAP * max(len(kept) - 1, 0)


def cell(parts: Sequence[Part], width: int, *, right: bool = False) -> list[Part]:
    """Return the parts clipped and filled up to `width` columns."""
    if len(parts) == 1:
        text, style = parts[0]
        return [(pad(text, width, right=right), style)]
    kept: list[Part] = []
    room = width
    for text, style in parts:
        text = clip(text, room)
        room -= display_width(text)
        kept.append((text, style))
    fill: Part = (" " * room, "")
    return [fill, *kept] if right else [*kept, fill]


class Table(Widget):
    """Shows rows under a line of titles and keeps a cursor on one of them.

    Attributes:
        cursor: index of the row under the cursor; stays on its key when rows come and go.
    """

    DEFAULT_CSS = "Table { height: 1fr; width: 1fr; }"

    class Moved(Message):
        """The cursor stands on another row."""

        def __init__(self, table: Table) -> None:
            super().__init__()
            self.table = table

    class Opened(Moved):
        """A row was clicked while the cursor was on it."""

    class Titled(Message):
        """The title of column `name` was clicked."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, widget_id: str, columns: Sequence[Column]) -> None:
        super().__init__(id=widget_id)
        self._columns = tuple(columns)
        self._rows: tuple[Row, ...] = ()
        self._top = 0
        self._empty: tuple[Part, ...] = ()
        self.cursor = 0

    @property
    def key(self) -> Hashable | None:
        """The key of the row under the cursor; None where there is none."""
        return self._rows[self.cursor].key if self._rows else None

    @property
    def keys(self) -> list[Hashable]:
        return [row.key for row in self._rows if row.key is not None]

    @property
    def span(self) -> str:
        """Which rows are in sight, as `1-12 of 40`; empty where all are. Headings do not count."""
        height = self.size.height - 1
        if len(self._rows) <= height or height < 1:
            return ""
        before = sum(row.key is not None for row in self._rows[: self._top])
        seen = sum(row.key is not None for row in self._rows[self._top : self._top + height])
        return f"{before + 1}-{before + seen} of {len(self.keys)}"

    def put(self, rows: Sequence[Row], *, columns: Sequence[Column] | None = None, empty: Sequence[Part] = ()) -> None:
        """Show `rows`, or the line `empty` where there are none; nothing is painted if they are shown already."""
        columns = self._columns if columns is None else tuple(columns)
        if (tuple(rows), columns, tuple(empty)) == (self._rows, self._columns, self._empty):
            return
        key = self.key
        self._rows, self._columns, self._empty = tuple(rows), columns, tuple(empty)
        places = [index for index, row in enumerate(self._rows) if row.key == key and key is not None]
        self.cursor = places[0] if places else min(self.cursor, max(len(self._rows) - 1, 0))
        self._settle(1)
        self.refresh()
        if self.key != key:
            self.post_message(self.Moved(self))

    def move(self, by: int) -> None:
        """Move the cursor by so many rows, as far as there are rows; headings are passed over."""
        self.move_to(self.cursor + by, 1 if by > 0 else -1)

    def move_to(self, index: int, direction: int = 1) -> None:
        """Put the cursor on row `index`, or the nearest one in that direction that can be chosen."""
        before = self.cursor
        self.cursor = min(max(index, 0), max(len(self._rows) - 1, 0))
        self._settle(direction)
        if self.cursor != before:
            self.refresh()
            self.post_message(self.Moved(self))

    def page(self, by: int) -> None:
        """Move the cursor by so many screens full of rows."""
        self.move(by * max(self.size.height - 2, 1))

    def to_end(self, *, last: bool) -> None:
        """Put the cursor on the first or the last row."""
        self.move_to(len(self._rows) - 1 if last else 0, -1 if last else 1)

    def _settle(self, direction: int) -> None:
        """Bring the cursor off a heading and into sight."""
        for step in (direction, -direction):
            place = self.cursor
            while 0 <= place < len(self._rows) and self._rows[place].key is None:
                place += step
            if 0 <= place < len(self._rows):
                self.cursor = place
                break
        height = max(self.size.height - 1, 1)
        top = self.cursor if self.cursor > 1 else 0  # the heading over the first row stays in sight
        self._top = min(self._top, top)
        self._top = max(self._top, self.cursor - height + 1, 0)
        self._top = min(self._top, max(len(self._rows) - height, 0))  # no empty lines while rows are out of sight

    def on_resize(self) -> None:
        self._settle(1)

    def on_click(self, event: events.Click) -> None:
        index = self._top + event.y - 1
        if event.y == 0 and self._rows:
            self._click_title(event.x)
        if event.y < 1 or index >= len(self._rows) or self._rows[index].key is None:
            return
        if index == self.cursor:
            self.post_message(self.Opened(self))
        self.move_to(index)

    def _click_title(self, x: int) -> None:
        for index, width in layout(self._columns, self.size.width):
            x -= width + GAP
            if x < 0:
                self.post_message(self.Titled(self._columns[index].name))
                return

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.move(1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.move(-1)

    def render(self) -> Content:
        width, height = self.size
        places = layout(self._columns, width)
        if not self._rows:
            return Content.assemble(*self._empty)
        lines = [self._titles(places)]
        for index in range(self._top, min(self._top + height - 1, len(self._rows))):
            lines.append(self._line(index, places, width))
        return Content("\n").join([Content.assemble(*line) for line in lines])

    def _titles(self, places: list[tuple[int, int]]) -> list[Part]:
        titles = [cell([(self._title(i), "$quiet")], w, right=self._columns[i].right) for i, w in places]
        return _joined(titles)

    def _title(self, index: int) -> str:
        """Return a column's title; the flexible one tells which rows are in sight where others are not."""
        column = self._columns[index]
        span = self.span if column.flexible else ""
        return f"{column.title}  {span}" if span else column.title

    def _line(self, index: int, places: list[tuple[int, int]], width: int) -> list[Part]:
        row = self._rows[index]
        if row.key is None:
            return cell(row.cells[0], width)
        cells = [cell(row.cells[i], w, right=self._columns[i].right) for i, w in places]
        parts = _joined(cells)
        if index != self.cursor:
            return parts
        parts.append((" " * (width - width_of(parts)), ""))
        return [(text, f"{style} on $block-cursor-background") for text, style in parts]


def _joined(cells: Sequence[Sequence[Part]]) -> list[Part]:
    line: list[Part] = []
    for index, parts in enumerate(cells):
        line += [(" " * GAP, "")] if index else []
        line += parts
    return line

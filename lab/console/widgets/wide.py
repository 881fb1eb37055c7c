"""A table with more columns than fit: the first ones stay, the others are moved through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from textual.message import Message

from lab.console.widgets.table import Column, Row, Table, layout

Item = TypeVar("Item")


class WideTable(Table):
    """Shows the first `kept` columns, and of the others as many as fit.

    Attributes:
        first: which of the others is the first in sight.
    """

    class Shifted(Message):
        """Other columns are in sight."""

    def __init__(self, widget_id: str, kept: int) -> None:
        super().__init__(widget_id, ())
        self._kept = kept
        self._whole: tuple[tuple[Row, ...], tuple[Column, ...]] = ((), ())
        self.first = 0

    def put_all(self, rows: Sequence[Row], columns: Sequence[Column]) -> None:
        """Show `rows`, whose cells stand in the order of all `columns`."""
        self._whole = (tuple(rows), tuple(columns))
        self._put()

    def _put(self) -> None:
        rows, columns = self._whole
        self.first = min(self.first, furthest(columns, self._kept, self.size.width))
        shown = [Row(row.key, tuple(without(row.cells, self._kept, self.first))) for row in rows]
        self.put(shown, columns=without(columns, self._kept, self.first))
        self.post_message(self.Shifted())

    def on_resize(self) -> None:
        if self._whole[0]:
            self._put()

    def step(self, by: int) -> None:
        """Show later columns, or earlier ones."""
        self.first = max(self.first + by, 0)
        self._put()

    def reveal(self, name: str) -> None:
        """Bring a column into sight."""
        names = [column.name for column in self._whole[1][self._kept :]]
        if name in names and not self.first <= names.index(name) < self.first + self._shown:
            self.first = names.index(name)
            self._put()

    @property
    def _shown(self) -> int:
        return in_sight(self._whole[1], self._kept, self.first, self.size.width)

    @property
    def signs(self) -> list[str]:
        """What tells which columns are in sight, the longest first; one that is empty where all are."""
        count = len(self._whole[1]) - self._kept
        place = f"columns {self.first + 1}-{self.first + self._shown} of {count}"
        return [f"{place}  ← →", place] if self._shown < count else [""]


def in_sight(columns: Sequence[Column], kept: int, first: int, width: int) -> int:
    """Return how many columns fit into `width` behind the `kept` ones, if those before `first` are left out."""
    return sum(index >= kept for index, _ in layout(without(columns, kept, first), width))


def furthest(columns: Sequence[Column], kept: int, width: int) -> int:
    """Return where the last columns begin that fit together: going on would only leave room empty."""
    count = len(columns) - kept
    fitting = (first for first in range(count) if first + in_sight(columns, kept, first, width) >= count)
    return next(fitting, max(count - 1, 0))


def without(cells: Sequence[Item], kept: int, first: int) -> list[Item]:
    """Return the columns, or the cells of a row, but for those between the `kept` ones and `first`."""
    return [*cells[:kept], *cells[kept + first :]]

"""The keys of pages that are lists: the cursor of their table."""

from __future__ import annotations

from lab.console.screens.page import Page
from lab.console.widgets.lines import Lines
from lab.console.widgets.table import Table


class ListPage(Page):
    """A page whose first table answers to arrows and their vim names."""

    @property
    def table(self) -> Table:
        return self.query_one(Table)

    @property
    def moved(self) -> Table | Lines:
        """What the arrows move."""
        return self.table

    def action_down(self) -> None:
        self.moved.move(1)

    def action_up(self) -> None:
        self.moved.move(-1)

    def action_page_down(self) -> None:
        self.moved.page(1)

    def action_page_up(self) -> None:
        self.moved.page(-1)

    def action_first(self) -> None:
        self.moved.to_end(last=False)

    def action_last(self) -> None:
        self.moved.to_end(last=True)

"""A list over a page to choose one thing from: a run to talk to, an assistant's tool, an earlier conversation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from lab.console.screens.panel import Panel
from lab.console.widgets.table import Column, Row, Table

COLUMNS = (Column("name", "", 16, flexible=True), Column("what", "", 42, rank=1))


class PickPanel(Panel[str]):
    """Gives the key of the row that is chosen with enter, or by two clicks.

    Args:
        choices: (key, what it is called, what it is).
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "take", "take", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("up,k", "move(-1)", show=False),
        Binding("pagedown,ctrl+f", "move(10)", show=False),
        Binding("pageup,ctrl+b", "move(-10)", show=False),
    ]

    def __init__(self, title: str, choices: Sequence[tuple[str, str, str]]) -> None:
        super().__init__()
        self._title, self._choices = title, tuple(choices)

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Static(Content.assemble((self._title, "bold")), markup=False)
            yield Table("choices-table", COLUMNS)
            yield Static("enter takes it, esc leaves it", markup=False, classes="label")

    def on_mount(self) -> None:
        table = self.query_one(Table)
        table.styles.height = min(len(self._choices) + 1, 16)
        table.put([Row(key, (((name, ""),), ((what, "$quiet"),))) for key, name, what in self._choices])

    def action_move(self, by: int) -> None:
        self.query_one(Table).move(by)

    @on(Table.Opened)
    def action_take(self) -> None:
        key = self.query_one(Table).key
        if key is not None:
            self.dismiss(str(key))

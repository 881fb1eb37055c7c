"""A long text over a page: the notes of a comparison, a plan, an answer in full."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from lab.console.screens.panel import Panel
from lab.console.widgets.parts import Part


class TextPanel(Panel[None]):
    """Shows parts, folded to the panel's width, until a key closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,enter", "give_up", "close", show=False),
        Binding("down,j", "scroll(1)", show=False),
        Binding("up,k", "scroll(-1)", show=False),
        Binding("pagedown,space,ctrl+f", "scroll(12)", show=False),
        Binding("pageup,ctrl+b", "scroll(-12)", show=False),
    ]

    def __init__(self, parts: Sequence[Part]) -> None:
        super().__init__()
        self._parts = tuple(parts)

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="box"):
            yield Static(Content.assemble(*self._parts), markup=False, id="text")

    def put(self, parts: Sequence[Part]) -> None:
        """Show other parts."""
        if tuple(parts) != self._parts:
            self._parts = tuple(parts)
            self.query_one("#text", Static).update(Content.assemble(*self._parts))

    def action_scroll(self, by: int) -> None:
        box = self.query_one("#box", VerticalScroll)
        box.scroll_to(y=box.scroll_target_y + by, animate=False, immediate=True)

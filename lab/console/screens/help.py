"""The `?` panel: every key of the page that is shown, then those that work everywhere, out of the one table."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from lab.console.keys import EVERYWHERE, KEYS, Key
from lab.console.widgets.parts import Part
from lab.text import pad

KEY_WIDTH = 16
LEAVING = "Runs go on when the console is left, closed or killed. Only a stop key, which asks first, ends one."


class HelpPanel(ModalScreen[None]):
    """Lies over a page until a key closes it."""

    CSS_PATH = "help.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,f1,q,enter", "close", "close", show=False),
        Binding("down,j", "scroll(1)", show=False),
        Binding("up,k", "scroll(-1)", show=False),
    ]

    def __init__(self, page: str) -> None:
        super().__init__()
        self._page = page

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help"):
            yield Static(Content.assemble(*help_parts(self._page)), markup=False)

    def action_scroll(self, by: int) -> None:
        self.query_one("#help", VerticalScroll).scroll_relative(y=by * 3, animate=False)

    def action_close(self) -> None:
        self.dismiss()

    def on_click(self) -> None:
        self.dismiss()


def help_parts(page: str) -> list[Part]:
    """Return the text of the panel."""
    parts: list[Part] = []
    for title, keys in (
        (page.title(), [key for key in KEYS if page in key.pages]),
        ("Everywhere", [key for key in KEYS if EVERYWHERE in key.pages]),
    ):
        parts += [(f"{title}\n", "bold $primary")]
        parts += [part for key in keys for part in _line(key)]
        parts.append(("\n", ""))
    return [*parts, (LEAVING, "$quiet")]


def _line(key: Key) -> list[Part]:
    return [(pad(key.shown, KEY_WIDTH), "bold"), (f"{key.help}\n", "")]

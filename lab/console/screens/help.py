"""The `?` panel: every key of the page that is shown, then those that work everywhere, out of the one table."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from lab.console.keys import EVERYWHERE, KEYS, PAGES, Key
from lab.console.screens.panel import Panel
from lab.console.widgets.parts import Part
from lab.text import display_width, pad

KEY_WIDTH = 14
"""The least width of the keys' column."""
FRAME = 6
LEAVING = "Runs go on when the console is left, closed or killed. Only a stop key, which asks first, ends one."


class HelpPanel(Panel[None]):
    """Lies over a page until a key closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,f1,q,enter", "give_up", "close", show=False),
        Binding("down,j", "scroll(1)", show=False),
        Binding("up,k", "scroll(-1)", show=False),
    ]

    def __init__(self, page: str) -> None:
        super().__init__()
        self._page = page

    def compose(self) -> ComposeResult:
        width = min(84, self.app.size.width * 96 // 100) - FRAME - 1
        with VerticalScroll(id="box"):
            yield Static(Content.assemble(*help_parts(self._page, width)), markup=False)

    def action_scroll(self, by: int) -> None:
        box = self.query_one("#box", VerticalScroll)
        box.scroll_to(y=box.scroll_target_y + by * 3, animate=False, immediate=True)

    def on_click(self) -> None:
        self.dismiss()


def help_parts(page: str, width: int = 78) -> list[Part]:
    """Return the text of the panel, folded to `width` columns."""
    own = [key for key in KEYS if page in key.pages]
    general = [key for key in KEYS if EVERYWHERE in key.pages and key.id not in PAGES]
    keys = max([KEY_WIDTH, *(display_width(key.shown) + 2 for key in (*own, *general))])
    names = " ".join(f"{number} {name.title()}" for number, name in enumerate(PAGES, 1))
    return [
        (f"{page.title()}\n", "bold $primary"),
        *_lines(own, keys, width),
        ("\nEverywhere\n", "bold $primary"),
        *_line(f"1-{len(PAGES)}", f"Go to a page: {names}.", keys, width),
        *_lines(general, keys, width),
        ("\n" + textwrap.fill(LEAVING, max(width, 20)), "$quiet"),
    ]


def _lines(keys: Sequence[Key], key_width: int, width: int) -> list[Part]:
    return [part for key in keys for part in _line(key.shown, key.help, key_width, width)]


def _line(keys: str, text: str, key_width: int, width: int) -> list[Part]:
    folded = textwrap.wrap(text, max(width - key_width, 12))
    return [(pad(keys, key_width), "bold"), (("\n" + " " * key_width).join(folded) + "\n", "")]

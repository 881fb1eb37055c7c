"""A line to type a filter or a search into; it opens above the keys and closes again."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input


class Typed(Input):
    """A line of a page that takes all keys while it is typed into, but for its own `KEYS`: (key, what it does)."""

    KEYS: ClassVar[tuple[tuple[str, str], ...]] = ()


class Search(Typed):
    """Reports its text as it is typed. Enter keeps it, escape empties it; both give the focus back."""

    DEFAULT_CSS = """
    Search { display: none; height: 1; width: 1fr; border: none; padding: 0; background: $panel; }
    Search.-open { display: block; }
    """
    KEYS = (("enter", "keep it"), ("esc", "put it away"))
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "put_away", "close", show=False)]

    class Asked(Message):
        """The text has changed."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, hint: str) -> None:
        super().__init__(id="search", placeholder=hint, compact=True)
        self.cursor_blink = False

    def open(self) -> None:
        self.add_class("-open")
        self.focus()

    def close(self) -> None:
        self.remove_class("-open")
        self.screen.set_focus(None)

    def action_put_away(self) -> None:
        self.value = ""
        self.close()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Asked(event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.close()

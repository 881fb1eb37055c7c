"""A question before something that cannot be taken back; nothing happens unless its key is pressed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from lab.console.screens.panel import Panel
from lab.console.widgets.frame import Link, Links
from lab.console.widgets.parts import Part


@dataclass(frozen=True)
class Choice:
    """A key, what it does, and the answer that it gives."""

    key: str
    label: str
    answer: str


NO = Choice("n", "leave it", "")


class ConfirmPanel(Panel[str]):
    """Asks `title`, tells `lines`, and gives the answer of the choice that is pressed or clicked; `n` gives none."""

    def __init__(self, title: str, lines: Sequence[str], choices: Sequence[Choice]) -> None:
        super().__init__()
        self._title, self._lines, self._choices = title, tuple(lines), (*choices, NO)

    def compose(self) -> ComposeResult:
        text: list[Part] = [(self._title + "\n", "bold"), *((f"{line}\n", "") for line in self._lines)]
        with Vertical(id="box"):
            yield Static(Content.assemble(*text), markup=False)
            yield Choices(self._choices)

    def on_key(self, event: events.Key) -> None:
        choice = next((choice for choice in self._choices if choice.key == event.key), None)
        if choice is not None:
            event.stop()
            self.action_choose(choice.key)

    def action_choose(self, key: str) -> None:
        self.dismiss(next(choice.answer for choice in self._choices if choice.key == key))


class Choices(Links):
    """The line of keys below the question."""

    def __init__(self, choices: Sequence[Choice]) -> None:
        super().__init__(id="choices")
        self._choices = choices

    def links(self) -> list[Link]:
        line: list[Link] = []
        for choice in self._choices:
            action = f"screen.choose('{choice.key}')"
            line += [(choice.key, "bold $primary", action), (f" {choice.label}", "$quiet", action), ("   ", "", "")]
        return line

"""What panels over a page have in common: a box in the middle, and a page below that still gets its snapshots."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

Answer = TypeVar("Answer")


class Panel(ModalScreen[Answer]):
    """Closes on escape without an answer."""

    CSS_PATH = "panel.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "give_up", "close", show=False)]

    def action_give_up(self) -> None:
        self.dismiss(None)

"""What panels over a page have in common: a box in the middle, and a page below that still gets its snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeVar

from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

if TYPE_CHECKING:
    from lab.console.feed import Snapshot

Answer = TypeVar("Answer")


class Panel(ModalScreen[Answer]):
    """Closes on escape without an answer."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "give_up", "close", show=False)]

    def show(self, snapshot: Snapshot) -> None:
        """Show what is new; most panels show what was there when they were opened."""

    def action_give_up(self) -> None:
        self.dismiss(None)

"""The end of a run's log, over the page; it follows the run while it stands at the bottom."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widget import Widget

from lab.console.feed import Snapshot
from lab.console.screens.panel import Panel
from lab.console.widgets.lines import Lines
from lab.console.widgets.parts import Line, Part
from lab.console.widgets.wrap import wrap
from lab.text import display_width

if TYPE_CHECKING:
    from lab.console.app import LabApp


class LogPanel(Panel[None]):
    """Shows the last lines that the feed has read; up and down leave and reach the end."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l,q,enter", "give_up", "close", show=False),
        Binding("down,j", "scroll(1)", show=False),
        Binding("up,k", "scroll(-1)", show=False),
        Binding("pagedown,space,ctrl+f", "scroll(12)", show=False),
        Binding("pageup,ctrl+b", "scroll(-12)", show=False),
        Binding("end,G", "scroll(9999)", show=False),
        Binding("home,g", "scroll(-9999)", show=False),
    ]

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title

    def compose(self) -> ComposeResult:
        with Widget(id="box"):
            yield Line("log-title", fill="─")
            yield Lines("log-lines", follow=True)

    def on_mount(self) -> None:
        self.query_one("#log-title", Line).put([("log  ", "bold"), (self._title, "")], [("esc closes", "$quiet")])
        self.show(cast("LabApp", self.app).snapshot)

    def show(self, snapshot: Snapshot) -> None:
        lines = self.query_one(Lines)
        width = lines.size.width or self.app.size.width
        folded = [part for line in snapshot.log for part in _folded(line, width)]
        lines.put(folded or [[("The log is empty so far.", "$quiet")]])

    def on_resize(self) -> None:
        self.call_after_refresh(lambda: self.show(cast("LabApp", self.app).snapshot))

    def action_scroll(self, by: int) -> None:
        self.query_one(Lines).move(by)


def _folded(line: str, width: int) -> list[list[Part]]:
    """Return the line folded: errors are long, and what mends them stands at their end."""
    return [[(line, "")]] if display_width(line) <= width else wrap([(line, "")], width)

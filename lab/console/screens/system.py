"""Page 6: the machine: GPUs, processor, memory, disk, and which process belongs to which run."""

from __future__ import annotations

from textual.app import ComposeResult

from lab.console.feed import Snapshot
from lab.console.keys import bindings
from lab.console.screens.page import Page
from lab.console.systemparts import system_lines
from lab.console.widgets.lines import Lines


class SystemPage(Page):
    NAME = "system"
    BINDINGS = bindings("system")

    def body(self) -> ComposeResult:
        yield Lines("machine")

    def show(self, snapshot: Snapshot) -> None:
        super().show(snapshot)
        if snapshot.system is not None:
            self.query_one("#machine", Lines).put(system_lines(snapshot.system, self.size.width, self.looks))

    def on_resize(self) -> None:
        self.show(self.lab.snapshot)

    def action_scroll(self, by: int) -> None:
        self.query_one("#machine", Lines).move(by * 3)

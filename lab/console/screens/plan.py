"""The plan of a profile over the Profiles page: it comes from a child process, which ends with the panel."""

from __future__ import annotations

from lab.console.planning import Planning
from lab.console.screens.textpanel import TextPanel

FRAME = 8


class PlanPanel(TextPanel):
    """Tells what the child does until the plan is there."""

    def __init__(self, name: str) -> None:
        super().__init__([(f"Planning {name}: reading data and timing the model. esc gives it up.", "$quiet")])
        self._profile = name
        self._planning: Planning | None = None

    def on_mount(self) -> None:
        columns = max(self.app.size.width * 96 // 100 - FRAME, 40)
        self._planning = Planning(self._profile, columns, said=self._said, ended=self._ended)

    def _said(self, line: str) -> None:
        self.app.call_from_thread(self.put, [(f"Planning {self._profile}\n\n", "bold"), (line, "$quiet")])

    def _ended(self, text: str) -> None:
        self.app.call_from_thread(self.put, [(f"Plan of {self._profile}\n\n", "bold"), (text, "")])

    def on_unmount(self) -> None:
        if self._planning is not None:
            self._planning.stop()

"""The plan of a profile over the Profiles page: it comes from a child process, which ends with the panel."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from lab.console.planning import Planning
from lab.console.screens.textpanel import TextPanel

FRAME = 8
WAITING = "esc gives it up"
TIMING = "t loads the model and times it here; esc closes"


class PlanPanel(TextPanel):
    """Tells what the child does until the plan is there; on request a second child times the model as well."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("t", "time", "time", show=False)]

    def __init__(self, profile: str) -> None:
        super().__init__([(f"Planning {profile}\n\n", "bold"), (WAITING, "$quiet")])
        self._profile = profile
        self._planning: Planning | None = None
        self._text = ""

    def on_mount(self) -> None:
        self._plan(time=False)

    def _plan(self, *, time: bool) -> None:
        columns = max(self.app.size.width * 96 // 100 - FRAME, 40)
        self._planning = Planning(self._profile, columns, time=time, said=self._said, ended=self._ended)

    def action_time(self) -> None:
        if self._text:
            self._text = ""
            self._plan(time=True)
            self._show("loading the model", WAITING)

    def _said(self, line: str) -> None:
        self.app.call_from_thread(self._show, line, WAITING)

    def _ended(self, text: str) -> None:
        self.app.call_from_thread(self._show_plan, text)

    def _show_plan(self, text: str) -> None:
        self._text = text
        self._show(text, TIMING)

    def _show(self, text: str, hint: str) -> None:
        self.put([(f"Plan of {self._profile}\n\n", "bold"), (f"{text}\n\n", ""), (hint, "$quiet")])

    def on_unmount(self) -> None:
        if self._planning is not None:
            self._planning.stop()

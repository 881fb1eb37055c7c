"""Blind rating over the Samples page: two runs' answers in a drawn order, one verdict at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult
from textual.widget import Widget

from lab.console.keys import bindings
from lab.console.rateparts import heading, question_lines, result_lines
from lab.console.screens.form import FieldLine, FormPanel, Values
from lab.console.screens.panel import Panel
from lab.console.widgets.frame import KeyLine
from lab.console.widgets.lines import Lines
from lab.console.widgets.parts import Line
from lab.errors import LabError

if TYPE_CHECKING:
    from lab.compare.rating import Session
    from lab.console.app import LabApp

NAME = "rating"


class RatingPanel(Panel[None]):
    """Asks until all pairs are judged; what was said is written at once, so that it may be closed at any moment.

    Args:
        folders: of the two runs.
        names: of the runs by id, said with the result alone.
    """

    BINDINGS = bindings(NAME)

    def __init__(self, folders: tuple[Path, Path], names: dict[str, str]) -> None:
        super().__init__()
        self._folders, self._names = folders, names
        self._session: Session | None = None
        self._reference, self._result = False, False

    @property
    def lab(self) -> LabApp:
        return cast("LabApp", self.app)

    def compose(self) -> ComposeResult:
        with Widget(id="box"):
            yield Line("rating-heading", fill=self.lab.looks.rule)
            yield Lines("rating-lines")
            yield KeyLine(NAME, readonly=False)

    def on_mount(self) -> None:
        self.query_one(Lines).put([[("reading the answers", "$quiet")]])
        self.run_worker(self._open, thread=True, group="rating")

    def _open(self) -> None:
        """Runs in a worker's thread: the rows are scored, which takes its time."""
        from lab.compare.entry import load_entry
        from lab.compare.rating import begin
        from lab.console.acts import info_of

        try:
            one, other = (info_of(folder) for folder in self._folders)
            session = begin(load_entry(one), load_entry(other), (one.run, other.run))
        except (LabError, OSError) as error:
            self.app.call_from_thread(self._refused, str(error))
        else:
            self.app.call_from_thread(self._opened, session)

    def _refused(self, reason: str) -> None:
        self.lab.say(reason, failed=True)
        self.dismiss(None)

    def _opened(self, session: Session) -> None:
        self._session = session
        self._show()

    def _show(self) -> None:
        session = self._session
        if session is None:
            return
        question = session.next
        done = self._result or question is None
        idle = {"verdict", "flag", "reference"} if done else set()
        self.query_one(KeyLine).put(idle if session.verdicts else idle | {"undo"})
        width = max(self.query_one(Lines).size.width, 20)
        self.query_one("#rating-heading", Line).put(*heading(session, done=done))
        if done or question is None:
            lines = result_lines(session, self._folders[0].name, self._names, width)
        else:
            lines = question_lines(question, width, self.lab.looks, reference=self._reference)
        self.query_one(Lines).put(lines, to_top=True)

    def on_resize(self) -> None:
        self._show()

    def _write(self, work: Callable[[], object]) -> None:
        """Write something down and show what comes next."""
        try:
            work()
        except (LabError, OSError) as error:
            self.lab.say(str(error), failed=True)
        self._reference = False
        self._show()

    # keys

    def action_verdict(self, choice: str) -> None:
        from lab.compare.rating import record

        session = self._session
        if session is not None and session.next is not None and not self._result:
            question = session.next
            self._write(lambda: record(session, question, choice))

    def action_undo(self) -> None:
        from lab.compare.rating import undo

        session = self._session
        if session is not None and session.verdicts:
            self._result = False
            self._write(lambda: undo(session))
        else:
            self.lab.say("There is nothing to take back.")

    def action_flag(self) -> None:
        if self._session is not None and self._session.next is not None and not self._result:
            fields = [FieldLine("note", "what is wrong with this row", "", "the reference is wrong")]
            self.app.push_screen(FormPanel("Flag this row", fields), self._flagged)

    def _flagged(self, values: Values | None) -> None:
        from lab.compare.rating import flag

        session = self._session
        if values is not None and session is not None and session.next is not None:
            question = session.next
            self._write(lambda: flag(session, question, values["note"]))

    def action_reference(self) -> None:
        self._reference = not self._reference
        self._show()

    def action_result(self) -> None:
        self._result = not self._result
        self._show()

    def action_scroll(self, by: int) -> None:
        self.query_one(Lines).page(by)

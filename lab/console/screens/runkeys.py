"""The keys that do something with one run; the Runs and the Live page share them."""

from __future__ import annotations

from functools import partial

from lab.console.rows import RunRow, newest_checkpoint
from lab.console.screens.confirm import Choice, ConfirmPanel
from lab.console.screens.form import FieldLine, FormPanel, Values
from lab.console.screens.logpeek import LogPanel
from lab.console.screens.page import Page
from lab.runs.state import RESUMABLE
from lab.text import plural


class RunKeys(Page):
    """A page on which one run is the present one."""

    @property
    def row(self) -> RunRow | None:
        """The run that the keys mean."""
        return None

    def idle(self) -> set[str]:
        row = self.row
        if row is None:
            return {"log", "stop", "resume"}
        return ({"stop"} if not row.live else set()) | ({"resume"} if row.state not in RESUMABLE else set())

    def action_log(self) -> None:
        if self.row is not None:
            self.lab.peek(self.row.folder, LogPanel(self.row.title))

    def action_stop(self) -> None:
        """Ask before stopping; a run that was asked already can be ended by signals."""
        row = self.row
        if row is None:
            return
        if not row.live:
            self.lab.say(f"{row.title} is {row.state}: there is nothing to stop.")
            return
        asked = row.run.stop.exists()
        lines = [
            f"It is {row.state}" + (f" at step {row.step:,}." if row.step else "."),
            "It was asked already and is finishing." if asked else "It finishes its step, saves a checkpoint and ends.",
            "It can be resumed later from there.",
        ]
        stop = Choice("y", "stop it", "ask")
        signal = Choice("k", "end it at once: what follows its last checkpoint is lost", "end")
        choices = [signal] if asked else [stop]
        self.app.push_screen(ConfirmPanel(f"Stop {row.title}?", lines, choices), partial(self._stopped, row))

    def _stopped(self, row: RunRow, answer: str | None) -> None:
        from lab.console import acts

        if answer == "ask":
            self.lab.act(partial(acts.ask_to_stop, row.folder))
        elif answer == "end":
            self.lab.act(partial(acts.end_now, row.folder))

    def action_resume(self) -> None:
        row = self.row
        if row is None:
            return
        if row.state not in RESUMABLE:
            self.lab.say(f"{row.title} is {row.state}: only stopped, failed and lost runs are resumed.")
            return
        step = newest_checkpoint(row.run)  # looked for now: the list may have been read before one was removed
        how = f"goes on from step {step:,}." if step else "starts over from step 0: it has no checkpoint."
        lines = [f"It is {row.state} at {plural(row.step, 'step')}.", f"A new worker {how}"]
        panel = ConfirmPanel(f"Resume {row.title}?", lines, [Choice("y", "resume it", "yes")])
        self.app.push_screen(panel, partial(self._resumed, row))

    def _resumed(self, row: RunRow, answer: str | None) -> None:
        from lab.console import acts

        if answer:
            self.lab.act(partial(acts.go_on, row.folder))

    def action_label(self) -> None:
        row = self.row
        if row is None:
            return
        fields = [
            FieldLine("name", "name", row.name, "shown instead of the id"),
            FieldLine("tags", "tags", " ".join(row.tags), "words, separated by spaces"),
            FieldLine("notes", "notes", row.notes.replace("\n", " "), "anything"),
        ]
        self.app.push_screen(FormPanel(f"Label {row.id}", fields), partial(self._labelled, row))

    def _labelled(self, row: RunRow, values: Values | None) -> None:
        from lab.console import acts

        if values is not None:
            self.lab.act(partial(acts.label, row.folder, **values))

"""Page 5: what the compared runs answered, row by row of the test set, beside the reference."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult

from lab.console.answers import SORTS, Answers
from lab.console.feed import Snapshot
from lab.console.keys import bindings
from lab.console.request import SampleAsk
from lab.console.runparts import START
from lab.console.sampleparts import SampleView, as_text, sample_lines
from lab.console.screens.page import Page
from lab.console.screens.rating import RatingPanel
from lab.console.widgets.lines import Lines
from lab.console.widgets.parts import Line, Part
from lab.console.widgets.search import Search
from lab.console.widgets.wrap import wrap

if TYPE_CHECKING:
    from lab.compare.samples import Sample

ORDERS = {"index": "as asked", "metric": "worst {} first", "disagreement": "widest disagreement in {} first"}
NOTHING: list[Part] = [("No answers to read yet.\n\n", "bold")]
EMPTY: list[Part] = [
    *NOTHING,
    ("They are there once a run has been evaluated. Mark runs on page 2 with ", "$quiet"),
    ("space", "bold $primary"),
    (" to choose whose; else those of the newest study are shown.", "$quiet"),
]


class SamplesPage(Page):
    NAME = "samples"
    BINDINGS = bindings("samples")

    def __init__(self) -> None:
        super().__init__()
        self._at = 0
        self._view = SampleView()

    def body(self) -> ComposeResult:
        yield Line("samples-heading", fill=self.looks.rule)
        yield Lines("sample")
        yield Search("a text in prompt, reference or answers")

    @property
    def ask(self) -> SampleAsk:
        return self.lab.request.samples

    @property
    def answers(self) -> Answers | None:
        return self.lab.snapshot.answers

    @property
    def sample(self) -> Sample | None:
        samples = self.answers.samples if self.answers is not None else ()
        return samples[self._at] if self._at < len(samples) else None

    def show(self, snapshot: Snapshot) -> None:
        if snapshot.answers is not None:
            self._at = min(self._at, max(len(snapshot.answers.samples) - 1, 0))
            self._show(snapshot.answers)
        super().show(snapshot)

    def idle(self) -> set[str]:
        answers = self.answers
        found = {"rate"} if answers is None or len(answers.labels) != 2 else set()
        if self.sample is None:
            found |= {"move", "sort", "differences", "copy", "rate"}
        return found if self.sample is not None or self.ask.search else found | {"find"}

    def _show(self, answers: Answers, *, to_top: bool = False) -> None:
        sample = self.sample
        lines = self._empty(answers)
        if sample is not None:
            lines = sample_lines(answers, sample, self.size.width, self.looks, self._view)
        self.query_one("#sample", Lines).put(lines, to_top=to_top)
        self._put_heading()

    def _heading(self, answers: Answers, sample: Sample | None) -> tuple[list[Part], ...]:
        left: list[Part] = [("samples  ", "bold")]
        left += [(f"{self.ask.search}  ", "$accent")] if self.ask.search else []
        if sample is None:
            return (left,)
        left += [(f"{self._at + 1}", "bold $primary"), (f" of {len(answers.samples)}", "")]
        left += [(f"  {ORDERS[answers.sort].format(answers.metric)}", "$quiet")]
        span = self.query_one("#sample", Lines).span
        more = f"{span} pgdn" if span else ""
        rights = [(more, sample.id, answers.title), (more, sample.id), (more,), ("pgdn more" if span else "",)]
        return left, *([(" · ".join(part for part in right if part), "$quiet")] for right in rights if any(right))

    def _empty(self, answers: Answers) -> list[list[Part]]:
        if self.ask.search and not answers.problem:
            return [[("No row holds that text. esc puts the search away.", "$quiet")]]
        if not self.lab.snapshot.runs:
            return wrap([*NOTHING, *START], self.size.width)
        return wrap([*EMPTY, (f"\n\n{answers.problem}", "$quiet")], self.size.width)

    @on(Lines.Moved)
    def _put_heading(self) -> None:
        if self.answers is not None:
            self.query_one("#samples-heading", Line).put(*self._heading(self.answers, self.sample))

    def on_resize(self) -> None:
        self.show(self.lab.snapshot)

    @on(Search.Asked)
    def _asked(self, event: Search.Asked) -> None:
        self._at = 0
        self.lab.want(samples=replace(self.ask, search=event.text))

    # keys

    def _again(self, *, to_top: bool = True) -> None:
        if self.answers is not None:
            self._show(self.answers, to_top=to_top)

    def action_move(self, by: int) -> None:
        self._go(self._at + by)

    def action_move_to(self, place: int) -> None:
        self._go(place if place >= 0 else len(self.answers.samples if self.answers is not None else ()))

    def _go(self, place: int) -> None:
        count = len(self.answers.samples) if self.answers is not None else 0
        place = min(max(place, 0), max(count - 1, 0))
        if place != self._at:
            self._at = place
            self._again()

    def action_scroll(self, by: int) -> None:
        self.query_one("#sample", Lines).page(by)

    def action_sort(self) -> None:
        self._at = 0
        following = SORTS[(SORTS.index(self.ask.sort) + 1) % len(SORTS)]
        self.lab.want(samples=replace(self.ask, sort=following))

    def action_study(self) -> None:
        self._at = 0
        self.lab.next_study()

    def action_find(self) -> None:
        self.query_one(Search).open()

    def action_clear(self) -> None:
        self.query_one(Search).action_put_away()

    def action_differences(self) -> None:
        self._view = replace(self._view, differences=not self._view.differences)
        self._again(to_top=False)

    def action_stack(self) -> None:
        self._view = replace(self._view, stacked=not self._view.stacked)
        self._again()

    def action_whole(self) -> None:
        self._view = replace(self._view, whole=not self._view.whole)
        self._again()

    def action_rate(self) -> None:
        """Judge the two marked runs; where no run is marked, two runs that are compared here will do."""
        answers = self.answers
        rows = [
            row for run, _ in (answers.labels if answers else ()) for row in self.lab.snapshot.runs if row.id == run
        ]
        if answers is None or len(rows) != 2:
            self.lab.say("Two runs are rated: mark them on page 2 with space.")
            return
        names = dict(answers.labels)
        self.app.push_screen(RatingPanel((rows[0].folder, rows[1].folder), names))

    def action_copy(self) -> None:
        if self.answers is not None and self.sample is not None:
            self.app.copy_to_clipboard(as_text(self.answers, self.sample))
            self.lab.say("Copied, if the terminal allows it (OSC 52).")

"""Page 4: the comparison of the marked runs, or of the newest study: table, bars, loss curves over each other."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult

from lab.console.charts import SMOOTHINGS
from lab.console.feed import Snapshot
from lab.console.keys import bindings
from lab.console.resultparts import (
    bar_lines,
    figures_of,
    full_notes,
    sentence_lines,
    sorted_entries,
    table_columns,
    table_rows,
)
from lab.console.results import Results
from lab.console.screens.form import FieldLine, FormPanel, Values
from lab.console.screens.lists import ListPage
from lab.console.screens.textpanel import TextPanel
from lab.console.widgets.chart import STYLES, ChartView
from lab.console.widgets.lines import Lines
from lab.console.widgets.parts import Line, Part
from lab.console.widgets.table import Table
from lab.console.widgets.wrap import wrap

if TYPE_CHECKING:
    from lab.compare.columns import Column as Figure
    from lab.compare.table import Table as Comparison

VIEWS = ("table", "bars", "curves")
EMPTY: tuple[Part, ...] = (
    ("Nothing to compare yet.\n\n", "bold"),
    ("A run is compared once it has been evaluated. Mark runs on page 2 with ", "$quiet"),
    ("space", "bold $primary"),
    (" to choose which.", "$quiet"),
)


class ResultsPage(ListPage):
    NAME = "results"
    BINDINGS = bindings("results")

    def __init__(self) -> None:
        super().__init__()
        self._view = "table"
        self._shift = 0
        self._sort: str | None = None
        self._reverse = False

    def body(self) -> ComposeResult:
        yield Line("results-heading", fill=self.looks.rule)
        yield Table("results-table", ())
        yield Lines("results-bars")
        yield ChartView("overlay", plain=self.looks.plain)
        yield Line("results-legend")
        yield Line("notes-heading", fill=self.looks.rule)
        yield Lines("results-notes")

    def on_mount(self) -> None:
        self.add_class("-table")

    @property
    def results(self) -> Results | None:
        return self.lab.snapshot.results

    def show(self, snapshot: Snapshot) -> None:
        super().show(snapshot)
        results = snapshot.results
        if results is None:
            return
        comparison = results.table
        self.query_one("#results-heading", Line).put(*self._heading(results))
        if comparison is None:
            self.table.put((), empty=EMPTY if not results.problem else (*EMPTY, (f"\n\n{results.problem}", "$quiet")))
            return
        self._show_table(comparison, snapshot)
        self._show_notes(comparison)
        if self._view == "bars":
            lines = bar_lines(comparison, figures_of(comparison), self.size.width - 2, self.looks)
            self.query_one("#results-bars", Lines).put(lines)
        if self._view == "curves" and snapshot.overlay is not None:
            self.query_one(ChartView).put(snapshot.overlay)
            self._show_legend(comparison, snapshot)

    def _heading(self, results: Results) -> tuple[list[Part], ...]:
        left: list[Part] = [("results  ", "bold"), (results.title, "$primary")]
        left += [("  testing differences", "$quiet")] if results.table is not None and not results.tested else []
        figure = self._figure(results.table) if results.table is not None else None
        order = f"by {figure.label}" + (", reversed" if self._reverse else "") if figure is not None else ""
        return left, [(order, "$accent")] if order else []

    def _figure(self, comparison: Comparison) -> Figure | None:
        return next((f for f in figures_of(comparison) if f.key == self._sort), None)

    def _show_table(self, comparison: Comparison, snapshot: Snapshot) -> None:
        figures = figures_of(comparison)
        self._shift = min(self._shift, max(len(figures) - 1, 0))
        shown = figures[self._shift :]
        entries = sorted_entries(comparison, self._figure(comparison), reverse=self._reverse)
        folders = dict(snapshot.results.folders) if snapshot.results is not None else {}
        mark: Part = (self.looks.mark, "bold $accent")
        marks = {run: mark for run, folder in folders.items() if folder in self.lab.request.marked}
        rows = table_rows(comparison, entries, shown, marks)
        self.table.put(rows, columns=table_columns(comparison, shown, rows))

    def _show_notes(self, comparison: Comparison) -> None:
        blocking = sum(finding.level == "blocking" for finding in comparison.findings)
        left: list[Part] = [("notes  ", "bold"), (str(len(comparison.findings) + len(comparison.notes)), "")]
        left += [(f"  {blocking} blocking: some figures may not be compared", "bold $error")] if blocking else []
        self.query_one("#notes-heading", Line).put(left)
        width = self.size.width - 2
        lines = [line for sentence in sentence_lines(comparison) for line in wrap(sentence, width)]
        self.query_one("#results-notes", Lines).put(lines)

    def _show_legend(self, comparison: Comparison, snapshot: Snapshot) -> None:
        colours = dict(snapshot.colours)
        folders = dict(snapshot.results.folders) if snapshot.results is not None else {}
        parts: list[Part] = []
        for run, label in comparison.labels.items():
            if (folder := folders.get(run)) in colours and folder is not None:
                parts += [("━━ ", STYLES[colours[folder]]), (f"{label}   ", "")]
        self.query_one("#results-legend", Line).put(parts)

    def _again(self) -> None:
        self.show(self.lab.snapshot)

    def _folder(self) -> Path | None:
        """Return the folder of the run under the cursor; an exported artefact belongs to its run."""
        folders = dict(self.results.folders) if self.results is not None else {}
        return folders.get(str(self.table.key).partition("/")[0])

    @on(Table.Opened)
    def _opened(self) -> None:
        self.action_open()

    @on(Table.Titled)
    def _titled(self, event: Table.Titled) -> None:
        """A click on a title sorts by its column; a second one turns the order round."""
        self._reverse = not self._reverse if event.name == self._sort else False
        self._sort = event.name
        self._again()

    # keys

    def action_open(self) -> None:
        folder = self._folder()
        if folder is not None:
            self.lab.watch_run(folder)

    def action_view(self) -> None:
        self._view = VIEWS[(VIEWS.index(self._view) + 1) % len(VIEWS)]
        for view in VIEWS:
            self.set_class(view == self._view, f"-{view}")
        self.lab.want(overlay=self._view == "curves")
        self._again()

    def action_shift(self, by: int) -> None:
        self._shift = max(self._shift + by, 0)
        self._again()

    def action_sort(self) -> None:
        """Sort by the next column, after the last one in the table's own order."""
        if self.results is None or self.results.table is None:
            return
        keys: list[str | None] = [None, *(figure.key for figure in figures_of(self.results.table))]
        place = keys.index(self._sort) if self._sort in keys else 0
        self._sort = keys[(place + 1) % len(keys)]
        self._again()

    def action_reverse(self) -> None:
        self._reverse = not self._reverse
        self._again()

    def action_mark(self) -> None:
        folder = self._folder()
        if folder is not None:
            self.lab.mark(folder)

    def action_unmark(self) -> None:
        self.lab.want(marked=())

    def action_study(self) -> None:
        self.lab.next_study()

    def action_smooth(self) -> None:
        smoothing = self.lab.request.view.smoothing
        place = SMOOTHINGS.index(smoothing) if smoothing in SMOOTHINGS else -1
        self.lab.change_view(smoothing=SMOOTHINGS[(place + 1) % len(SMOOTHINGS)])

    def action_log_axis(self) -> None:
        self.lab.change_view(log=not self.lab.request.view.log)

    def action_down(self) -> None:
        self._lines_or_table(1)

    def action_up(self) -> None:
        self._lines_or_table(-1)

    def _lines_or_table(self, by: int) -> None:
        if self._view == "bars":
            self.query_one("#results-bars", Lines).move(by)
        else:
            self.table.move(by)

    def action_notes(self) -> None:
        if self.results is not None and self.results.table is not None:
            width = max(self.size.width * 96 // 100 - 7, 30)
            self.app.push_screen(TextPanel(full_notes(self.results.table, width)))

    def action_export(self) -> None:
        from lab.console import acts

        if self.results is None or self.results.table is None:
            self.lab.say("There is no table to write yet.")
            return
        fields = [FieldLine("file", "file: .md, .csv, .json or .txt", "comparison.md")]
        panel = FormPanel("Export the table", fields, acts.check_export)
        self.app.push_screen(panel, partial(self._exported, self.results.table))

    def _exported(self, comparison: Comparison, values: Values | None) -> None:
        from lab.console import acts

        if values is not None:
            self.lab.act(partial(acts.export, comparison, values["file"]))

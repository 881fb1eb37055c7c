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
    HEADS,
    bar_blocks,
    figures_of,
    full_notes,
    sentence_lines,
    sorted_entries,
    table_columns,
    table_rows,
)
from lab.console.results import Results
from lab.console.runparts import START
from lab.console.screens.form import FieldLine, FormPanel, Values
from lab.console.screens.lists import ListPage
from lab.console.screens.textpanel import TextPanel
from lab.console.widgets.blocks import Blocks
from lab.console.widgets.chart import ChartView, legend_lines
from lab.console.widgets.lines import Lines
from lab.console.widgets.parts import Line, Part
from lab.console.widgets.table import Table
from lab.console.widgets.wide import WideTable
from lab.console.widgets.wrap import wrap

if TYPE_CHECKING:
    from lab.compare.columns import Column as Figure
    from lab.compare.entry import Entry
    from lab.compare.table import Table as Comparison

LEGEND_LINES = 4
SIGNS = "* best   ± half of the 95 % interval"
VIEWS = ("table", "bars", "curves")
NOTHING: tuple[Part, ...] = (("Nothing to compare yet.\n\n", "bold"),)
EMPTY: tuple[Part, ...] = (
    *NOTHING,
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
        self._sort: str | None = None
        self._reverse = False

    def body(self) -> ComposeResult:
        yield Line("results-heading", fill=self.looks.rule)
        yield WideTable("results-table", HEADS)
        yield Blocks("results-bars")
        yield ChartView("overlay", plain=self.looks.plain)
        yield Lines("results-legend")
        yield Line("notes-heading", fill=self.looks.rule)
        yield Lines("results-notes")

    def on_mount(self) -> None:
        self.add_class("-table")

    @property
    def moved(self) -> WideTable | Blocks:
        return self.query_one(Blocks) if self._view == "bars" else self.query_one(WideTable)

    @property
    def results(self) -> Results | None:
        return self.lab.snapshot.results

    def show(self, snapshot: Snapshot) -> None:
        super().show(snapshot)
        results = snapshot.results
        if results is None:
            return
        comparison = results.table
        if comparison is None:
            self._put_heading()
            self._set_view("table")
            why: Part = (f"\n\n{results.problem}", "$quiet")
            self.table.put((), empty=(*EMPTY, why) if snapshot.runs else (*NOTHING, *START))
            return
        self._show_table(comparison, snapshot)
        self._show_notes(comparison)
        if self._view == "bars":
            self._show_bars(comparison)
        if self._view == "curves" and snapshot.overlay is not None:
            self.query_one(ChartView).put(snapshot.overlay)
            self._show_legend(comparison, snapshot)
        self._put_heading()

    @on(Lines.Moved)
    @on(WideTable.Shifted)
    def _put_heading(self) -> None:
        if self.results is not None:
            self.query_one("#results-heading", Line).put(*self._heading(self.results))

    def _heading(self, results: Results) -> tuple[list[Part], ...]:
        left: list[Part] = [("results  ", "bold"), (results.title if results.table is not None else "", "$primary")]
        left += [("  testing differences", "$quiet")] if results.table is not None and not results.tested else []
        figure = self._figure(results.table) if results.table is not None and self._view != "curves" else None
        order = f"by {figure.label}" + (", reversed" if self._reverse else "") if figure is not None else ""
        signs = self.moved.signs if self._view != "curves" else [""]
        by: Part = (f"{order}   " if order and signs[0] else order, "$accent")
        rights = [[by, (sign, "$quiet")] for sign in (signs if self._view == "table" else signs[:1])]
        return left, *rights, *([(sign, "$quiet")] for sign in signs[1:])

    def _figure(self, comparison: Comparison) -> Figure | None:
        return next((f for f in figures_of(comparison) if f.key == self._sort), None)

    def _show_table(self, comparison: Comparison, snapshot: Snapshot) -> None:
        figures = figures_of(comparison)
        entries = self._entries(comparison)
        folders = dict(snapshot.results.folders) if snapshot.results is not None else {}
        mark: Part = (self.looks.mark, "bold $accent")
        marks = {run: mark for run, folder in folders.items() if folder in self.lab.request.marked}
        rows = table_rows(comparison, entries, figures, marks)
        self.query_one(WideTable).put_all(rows, table_columns(figures, rows))

    def _entries(self, comparison: Comparison) -> list[Entry]:
        return sorted_entries(comparison, self._figure(comparison), reverse=self._reverse)

    def _show_bars(self, comparison: Comparison) -> None:
        figures = figures_of(comparison)
        blocks = bar_blocks(comparison, self._entries(comparison), figures, self.size.width, self.looks)
        self.query_one(Blocks).put_blocks(blocks)

    def _show_notes(self, comparison: Comparison) -> None:
        blocking = sum(finding.level == "blocking" for finding in comparison.findings)
        left: list[Part] = [("notes  ", "bold"), (str(len(comparison.findings) + len(comparison.notes)), "")]
        left += [(f"  {blocking} blocking: some figures may not be compared", "bold $error")] if blocking else []
        signed = self._view != "curves" and any(comparison.best.values())
        self.query_one("#notes-heading", Line).put(left, [(SIGNS, "$quiet")] if signed else [])
        width = self.size.width
        lines = [line for sentence in sentence_lines(comparison) for line in wrap(sentence, width)]
        self.query_one("#results-notes", Lines).put(lines)

    def _show_legend(self, comparison: Comparison, snapshot: Snapshot) -> None:
        pens = dict(snapshot.pens)
        folders = dict(snapshot.results.folders) if snapshot.results is not None else {}
        drawn = [(pens[folders[run]], label) for run, label in comparison.labels.items() if folders.get(run) in pens]
        most = LEGEND_LINES * (2 if self.has_class("-tall") else 1)
        lines = legend_lines(drawn, self.size.width, most, self.looks)
        self.query_one("#results-legend", Lines).put(lines)

    def idle(self) -> set[str]:
        if self.results is None or self.results.table is None:
            return {"mark", "sort", "view", "notes", "export", "smooth", "log_axis"}
        curves = {"sort"} if self._view == "curves" else {"smooth", "log_axis"}
        return curves | ({"mark"} if self._folder() is None else set())

    @on(Table.Moved)
    def _moved(self) -> None:
        self.show_keys()

    def _again(self) -> None:
        self.show(self.lab.snapshot)

    def _folder(self) -> Path | None:
        """Return the folder of the run under the cursor; an exported artefact belongs to its run.

        The other views have no cursor.
        """
        if self._view != "table":
            return None
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

    def on_resize(self) -> None:
        self._again()

    # keys

    def action_open(self) -> None:
        folder = self._folder()
        if folder is not None:
            self.lab.watch_run(folder)

    def action_view(self) -> None:
        if self.results is None or self.results.table is None:
            return
        self._set_view(VIEWS[(VIEWS.index(self._view) + 1) % len(VIEWS)])
        self.lab.want(overlay=self._view == "curves")
        self._again()
        self._reveal()

    def _set_view(self, name: str) -> None:
        self._view = name
        for view in VIEWS:
            self.set_class(view == name, f"-{view}")

    def action_shift(self, by: int) -> None:
        """Show earlier or later columns; in the bars, the figure before or behind."""
        self.moved.step(by)

    def _reveal(self) -> None:
        """Bring the figure that is sorted by into sight."""
        if self._sort is not None:
            self.query_one(WideTable).reveal(self._sort)
            self.query_one(Blocks).reveal(self._sort)

    def action_sort(self) -> None:
        """Sort by the next column, after the last one in the table's own order."""
        if self.results is None or self.results.table is None:
            return
        keys: list[str | None] = [None, *(figure.key for figure in figures_of(self.results.table))]
        place = keys.index(self._sort) if self._sort in keys else 0
        self._sort = keys[(place + 1) % len(keys)]
        self._again()
        self._reveal()

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

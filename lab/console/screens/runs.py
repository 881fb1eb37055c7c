"""Page 2: all runs with state, progress and loss; the one under the cursor is told in full below."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from textual import on
from textual.app import ComposeResult

from lab.console.feed import Snapshot
from lab.console.keys import bindings
from lab.console.ordering import SORTS, Order
from lab.console.rows import RunRow
from lab.console.runparts import COLUMNS, EMPTY, columns_for, heading_parts, table_row, told
from lab.console.screens.confirm import Choice, ConfirmPanel
from lab.console.screens.lists import ListPage
from lab.console.screens.runkeys import RunKeys
from lab.console.widgets.parts import Line, Part
from lab.console.widgets.search import Search
from lab.console.widgets.table import Row, Table

DETAILS = ("run-title", "run-what", "run-detail", "run-hint")


class RunsPage(ListPage, RunKeys):
    NAME = "runs"
    BINDINGS = bindings("runs")

    def __init__(self) -> None:
        super().__init__()
        self._order = Order()
        self._with_archived = False

    def body(self) -> ComposeResult:
        yield Line("runs-heading", fill=self.looks.rule)
        yield Table("runs-table", COLUMNS)
        yield Line(DETAILS[0], fill=self.looks.rule)
        for name in DETAILS[1:]:
            yield Line(name)
        yield Search("method=qlora  rank>=8  loss<1.2  tag:alpaca  state=lost  or a word of its name")

    @property
    def row(self) -> RunRow | None:
        key = self.table.key
        return next((row for row in self.lab.snapshot.runs if row.folder == key), None)

    def show(self, snapshot: Snapshot) -> None:
        super().show(snapshot)
        shown = self._shown(snapshot)
        self.table.put(self._rows(shown), columns=columns_for(self._order), empty=self._empty(snapshot))
        query = self.lab.request.query
        away = sum(row.archived for row in snapshot.runs if row.folder in snapshot.fitting)
        self.query_one("#runs-heading", Line).put(
            *heading_parts(
                len(shown),
                len(snapshot.runs),
                self._order,
                query,
                snapshot.complaint,
                archived=0 if self._with_archived else away,
            )
        )
        self._tell()

    def _shown(self, snapshot: Snapshot) -> list[RunRow]:
        return [
            row for row in snapshot.runs if row.folder in snapshot.fitting and (self._with_archived or not row.archived)
        ]

    def _rows(self, shown: list[RunRow]) -> list[Row]:
        marked = self.lab.request.marked
        if not self._order.by_study:
            return [table_row(row, self.looks, marked=row.folder in marked) for row in self._order.apply(shown)]
        rows: list[Row] = []
        for study, members in self._order.grouped(shown):
            heading: Part = (f"{study}  {len(members)}", "$accent")
            rows.append(Row(None, ((heading,),)))
            rows += [table_row(row, self.looks, marked=row.folder in marked) for row in members]
        return rows

    def _empty(self, snapshot: Snapshot) -> tuple[Part, ...]:
        if not snapshot.loaded:
            return ()
        if not snapshot.runs:
            return EMPTY
        archived = "Every run that fits is archived: A shows them."
        return ((archived if snapshot.fitting else "No run fits. esc puts the filter away.", "$quiet"),)

    def idle(self) -> set[str]:
        missing = {"filter"} if not self.lab.snapshot.runs else set()
        return super().idle() | missing | ({"open", "mark", "sort"} if self.row is None else set())

    def _tell(self) -> None:
        """Tell the run under the cursor in full."""
        self.show_keys()
        row = self.row
        lines = told(row, self.looks, self.size.width) if row is not None else [[]] * len(DETAILS)
        for name, line in zip(DETAILS, lines, strict=True):
            self.query_one(f"#{name}", Line).put(line)

    def on_resize(self) -> None:
        self._tell()

    def _again(self) -> None:
        self.show(self.lab.snapshot)

    @on(Table.Moved)
    def _moved(self) -> None:
        self._tell()

    @on(Table.Opened)
    def _opened(self) -> None:
        self.action_open()

    @on(Search.Asked)
    def _asked(self, event: Search.Asked) -> None:
        self.lab.want(query=event.text)

    # keys

    def action_open(self) -> None:
        key = self.table.key
        if isinstance(key, Path):
            self.lab.watch_run(key)

    def action_filter(self) -> None:
        self.query_one(Search).open()

    def action_clear(self) -> None:
        self.query_one(Search).action_put_away()

    def action_mark(self) -> None:
        key = self.table.key
        if isinstance(key, Path):
            self.lab.mark(key)
            self._again()
            self.table.move(1)

    def action_unmark(self) -> None:
        self.lab.want(marked=())
        self._again()

    def action_sort(self) -> None:
        following = SORTS[(SORTS.index(self._order.sort) + 1) % len(SORTS)]
        self._order = replace(self._order, sort=following)
        self._again()

    def action_reverse(self) -> None:
        self._order = replace(self._order, reverse=not self._order.reverse)
        self._again()

    def action_studies(self) -> None:
        self._order = replace(self._order, by_study=not self._order.by_study)
        self._again()

    def action_archived(self) -> None:
        self._with_archived = not self._with_archived
        self._again()

    def action_archive(self) -> None:
        from lab.console import acts

        if self.row is not None:
            self.lab.act(partial(acts.archive, self.row.folder))

    def action_delete(self) -> None:
        from lab.console import acts

        row = self.row
        if row is None:
            return
        if row.live:
            self.lab.say(f"{row.title} is {row.state}: stop it first.")
            return
        lines = ["Its weights, curves, answers and log go with it. This cannot be taken back."]
        lines = [*acts.lost_by_deleting(row.folder), *lines]
        panel = ConfirmPanel(f"Delete {row.id}?", lines, [Choice("y", "delete it", "yes")])
        self.app.push_screen(panel, partial(self._deleted, row))

    def _deleted(self, row: RunRow, answer: str | None) -> None:
        from lab.console import acts

        if answer:
            self.lab.act(partial(acts.delete, row.folder))

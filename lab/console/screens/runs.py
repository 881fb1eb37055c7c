"""Page 2: all runs with state, progress and loss; the one under the cursor is told in full below."""

from __future__ import annotations

import time
from pathlib import Path

from textual.app import ComposeResult

from lab.console.feed import Snapshot
from lab.console.keys import bindings
from lab.console.looks import Looks
from lab.console.rows import RunRow
from lab.console.screens.page import Page
from lab.console.widgets.bars import sparkline
from lab.console.widgets.parts import Line, Part
from lab.console.widgets.table import Column, Row, Table
from lab.text import number, plural

COLUMNS = (
    Column("sign", "", 1),
    Column("state", "state", 10, rank=2),
    Column("title", "run", 18, flexible=True),
    Column("method", "method", 9, rank=3),
    Column("progress", "progress", 12, rank=1),
    Column("loss", "loss", 7, right=True),
    Column("best", "eval", 7, right=True, rank=5),
    Column("curve", "curve", 10),
    Column("energy", "Wh", 7, right=True, rank=6),
    Column("created", "started", 12, rank=4),
)
EMPTY = (
    ("No runs yet.\n\n", "bold"),
    ("A first one, in a shell:  ", "$quiet"),
    ("lab demo --quick\n", "bold $primary"),
    ("It brings its own model and data, and shows up here.", "$quiet"),
)


class RunsPage(Page):
    NAME = "runs"
    BINDINGS = bindings("runs")
    CSS_PATH = "runs.tcss"

    def body(self) -> ComposeResult:
        yield Line("runs-heading", fill=self.looks.rule)
        yield Table("runs-table", COLUMNS)
        yield Line("run-title", fill=self.looks.rule)
        for name in ("run-what", "run-detail", "run-hint"):
            yield Line(name)

    @property
    def table(self) -> Table:
        return self.query_one("#runs-table", Table)

    def show(self, snapshot: Snapshot) -> None:
        super().show(snapshot)
        count: list[Part] = [("runs  ", "bold"), (str(len(snapshot.runs)), "bold $primary")]
        self.query_one("#runs-heading", Line).put(count if snapshot.runs else count[:1])
        self.table.put([row_of(row, self.looks) for row in snapshot.runs], empty=EMPTY if snapshot.loaded else ())
        self._tell(snapshot)

    def _tell(self, snapshot: Snapshot) -> None:
        """Tell the run under the cursor in full."""
        row = next((row for row in snapshot.runs if row.folder == self.table.key), None)
        lines = told(row, self.looks) if row is not None else [[], [], [], []]
        for name, line in zip(("run-title", "run-what", "run-detail", "run-hint"), lines, strict=True):
            self.query_one(f"#{name}", Line).put(line)

    def on_table_moved(self) -> None:
        self._tell(self.lab.snapshot)

    def on_table_opened(self) -> None:
        self.action_open()

    def action_open(self) -> None:
        key = self.table.key
        if isinstance(key, Path):
            self.lab.watch_run(key)

    def action_down(self) -> None:
        self.table.move(1)

    def action_up(self) -> None:
        self.table.move(-1)

    def action_first(self) -> None:
        self.table.move_to(0)

    def action_last(self) -> None:
        self.table.move_to(len(self.lab.snapshot.runs), -1)


def row_of(row: RunRow, looks: Looks) -> Row:
    """Return the table's row of a run."""
    sign, word = looks.state(row.state)
    curve = sparkline(row.spark, 10, plain=looks.plain)
    return Row(
        row.folder,
        (
            (sign,),
            (word,),
            ((row.title, "bold" if row.live else ""),),
            ((row.method, ""),),
            tuple(looks.progress(row, 12)),
            ((number(row.loss), ""),),
            ((number(row.best), ""),),
            ((curve, "$secondary"),),
            ((number(row.energy_wh, 1), ""),),
            ((started(row.created), "$quiet"),),
        ),
    )


def started(t: float) -> str:
    return time.strftime("%b %d %H:%M", time.localtime(t)) if t else "-"


def told(row: RunRow, looks: Looks) -> list[list[Part]]:
    """Return four lines about a run: its id; what it is; what it does or how it ended; what can be done now."""
    what = [row.profile, row.method, row.model, row.device, f"study {row.study}" if row.study else ""]
    figures = [f"{name} {value:.3f}" for name, value in row.metrics[:4]]
    ending = " ".join(part for part in (row.reason, row.remedy) if part)
    sign, word = looks.state(row.state)
    attempt = f"  attempt {row.attempt}" if row.attempt > 1 else ""
    return [
        [(row.title, "bold"), ("  ", ""), (row.id if row.id != row.title else "", "$quiet")],
        [(" · ".join(part for part in what if part), ""), ("  " + "  ".join(figures), "$accent")],
        [sign, (" ", ""), word, (attempt, "$quiet"), ("  " + (ending if row.reason else row.detail), "$quiet")],
        [(_next(row), "$quiet")],
    ]


def _next(row: RunRow) -> str:
    if row.live:
        return "It runs by itself: the console may be closed."
    if row.state == "lost":
        return "Its worker is gone without an end. It can be resumed from its last checkpoint."
    if row.state in ("stopped", "failed"):
        return f"It stands at {plural(row.step, 'step')} and can be resumed."
    return ""

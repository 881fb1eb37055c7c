"""The comparison on the Results page: which runs, their table from `lab.compare`, their losses over each other.

Called by the feed's thread. A table is made anew only when a file that it was made of has changed; first without the
tests of differences, which may take seconds, then with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab.console.charts import Chart, Curve, View, cut
from lab.console.curves import RunCurves
from lab.console.rows import RunRow
from lab.console.runlist import RunList
from lab.errors import LabError
from lab.runs.paths import RunPaths, evaluations
from lab.text import plural

if TYPE_CHECKING:
    from lab.compare.entry import Entry
    from lab.compare.table import Table

MOST_ROWS = 12
READ_SECONDS = 0.1
COLOURS = ("main", "fourth", "fifth", "second", "sixth", "third")
Stamp = tuple[tuple[Path, tuple[int, ...]], ...]


@dataclass(frozen=True, eq=False)
class Results:
    """A comparison. Compared by identity: an unchanged one is the same object.

    Attributes:
        title: what is compared, for people.
        table: None while nothing can be compared; then `problem` says why.
        tested: the differences were tested.
        folders: of the rows, by id.
    """

    title: str
    table: Table | None = None
    problem: str = ""
    tested: bool = False
    folders: tuple[tuple[str, Path], ...] = ()


def selected(rows: Sequence[RunRow], marked: Sequence[Path]) -> tuple[str, list[RunRow]]:
    """Return what to compare and its name: the marked runs, else the newest study, else the newest evaluated runs."""
    if marked:
        chosen = [row for folder in marked for row in rows if row.folder == folder]
        return f"{plural(len(chosen), 'marked run')}", chosen
    evaluated = [row for row in rows if row.evaluated and not row.archived]
    study = next((row.study for row in evaluated if row.study), "")
    if study:
        of_study = [row for row in reversed(rows) if row.study == study and not row.archived]
        return f"study {study}", list({row.title: row for row in of_study}.values())
    return "the newest evaluated runs", evaluated[:MOST_ROWS][::-1]


class EntryCache:
    """Entries of runs, each read again only when its files change."""

    def __init__(self, runs: RunList) -> None:
        self._runs = runs
        self._entries: dict[Path, tuple[tuple[int, ...], Entry]] = {}

    def read(self, rows: Sequence[RunRow]) -> tuple[Stamp, list[Entry]]:
        """Return the entries of `rows` and a stamp that changes when one of them does.

        Raises:
            LabError: a folder is damaged.
        """
        from lab.compare.entry import load_entry

        found: dict[Path, tuple[tuple[int, ...], Entry]] = {}
        for row in rows:
            info = self._runs.info(row.folder)
            stamp = _stamp(row)
            before = self._entries.get(row.folder)
            if before is not None and before[0] == stamp:
                found[row.folder] = before
            elif info is not None:
                found[row.folder] = (stamp, load_entry(info))
        self._entries = found
        return tuple((folder, stamp) for folder, (stamp, _) in found.items()), [e for _, e in found.values()]


def _stamp(row: RunRow) -> tuple[int, ...]:
    """Return the ages of the files that a row of the table is made of; those of a living run change all the time."""
    run = RunPaths(row.folder)
    files = [*(e.metrics for e in evaluations(run)), run.labels, run.profile]
    own = (int(row.live), hash((row.state, row.title)))
    return (*own, *(path.stat().st_mtime_ns if path.exists() else 0 for path in files))


class ResultsReader:
    """Makes the comparison of the chosen runs."""

    def __init__(self, entries: EntryCache) -> None:
        self._entries = entries
        self._stamp: tuple[str, Stamp] | None = None
        self._results = Results("")

    def read(self, rows: Sequence[RunRow], marked: Sequence[Path]) -> Results:
        """Return the comparison as far as it is made; `tested` is False while there is more to do."""
        title, chosen = selected(rows, marked)
        if not chosen:
            return self._keep((title, ()), Results(title, problem="no run has been evaluated yet", tested=True))
        try:
            stamp, entries = self._entries.read(chosen)
            if (title, stamp) == self._stamp and self._results.tested:
                return self._results
            from lab.compare.table import build_table

            table = build_table(entries, _axes(title), tests=(title, stamp) == self._stamp)
        except LabError as error:
            return self._keep((title, ()), Results(title, problem=str(error), tested=True))
        tested = (title, stamp) == self._stamp
        folders = tuple((row.run.id, row.folder) for row in chosen)
        self._stamp, self._results = (title, stamp), Results(title, table, "", tested, folders)
        return self._results

    def _keep(self, stamp: tuple[str, Stamp], results: Results) -> Results:
        """Return what is shown already, if that says the same."""
        before = self._results
        if (before.title, before.problem, before.table) != (results.title, results.problem, None):
            self._results = results
        self._stamp = stamp
        return self._results


def _axes(title: str) -> tuple[str, ...]:
    """Return what a study varies on purpose, where the study's file is at hand."""
    from lab.profile.study import load_study

    name = title.removeprefix("study ")
    if name == title:
        return ()
    try:
        return load_study(name).axes
    except LabError:
        return ()


class OverlayReader:
    """The losses of several runs in one chart; colours belong to runs and stay when others come and go."""

    def __init__(self) -> None:
        self._curves: dict[Path, RunCurves] = {}
        self._colours: dict[Path, str] = {}

    def read(self, rows: Sequence[RunRow], view: View) -> tuple[Chart, bool]:
        """Return the chart, and whether more is waiting to be read."""
        own = [row for row in rows if row.method != "baseline"]
        self._curves = {row.folder: self._curves.get(row.folder) or RunCurves(row.run) for row in own}
        behind = False
        for curves in self._curves.values():
            behind = (curves.read(READ_SECONDS) and curves.read_share < 1) or behind
        return self._chart(own, view), behind

    def colour(self, folder: Path) -> str:
        """Return the role that draws the run: the same as before, else the least used one."""
        if folder not in self._colours:
            used = list(self._colours.values())
            self._colours[folder] = min(COLOURS, key=used.count)
        return self._colours[folder]

    def _chart(self, rows: Sequence[RunRow], view: View) -> Chart:
        last = max((curves.step for curves in self._curves.values()), default=0)
        ends = (1.0, float(max(last, 2)))
        lines: list[Curve] = []
        for row in rows:
            curves = self._curves[row.folder]
            column = curves.smoothed.follow(view.smoothing) if view.smoothing else curves.columns["loss"]
            if len(column):
                lines.append(cut(self.colour(row.folder), column, ends, view.columns))
        log = view.log and any(y > 0 for line in lines for y in line.ys)
        note = " · ".join(([f"smoothed .{view.smoothing * 10:.0f}"] if view.smoothing else []) + (["log"] * log))
        return Chart(
            "overlay", "loss", "", note, tuple(lines), x_range=ends, log=log, empty="none of these runs has steps"
        )

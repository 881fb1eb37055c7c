"""The comparison on the Results page: which runs, their table from `lab.compare`, their losses over each other.

Called by the feed's thread. A table is made anew only when a file that it was made of has changed; first without the
tests of differences, which may take seconds, then with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lab.console.charts import Chart, Curve, Pen, cut
from lab.console.curves import RunCurves
from lab.console.request import View
from lab.console.rows import RunRow
from lab.console.runlist import RunList
from lab.errors import LabError
from lab.runs.paths import RunPaths, evaluations
from lab.text import plural

if TYPE_CHECKING:
    from lab.compare.entry import Entry
    from lab.compare.table import Table
    from lab.runs.store import RunInfo

MOST_ROWS = 12
READ_SECONDS = 0.1
COLOURS = ("main", "fourth", "fifth", "second", "sixth", "third")
PENS: tuple[Pen, ...] = tuple((colour, turn) for turn in range(4) for colour in COLOURS)
NEWEST = "*"
"""In the place of a study's name: the newest evaluated runs, of whatever study."""
Stamp = tuple[tuple[Path, tuple[int, ...]], ...]


@dataclass(frozen=True, eq=False)
class Results:
    """A comparison. Compared by identity: an unchanged one is the same object.

    Attributes:
        title: what is compared, for people.
        table: None while nothing can be compared; then `problem` says why.
        tested: the differences were tested.
        folders: of the runs, by id.
    """

    title: str
    table: Table | None = None
    problem: str = ""
    tested: bool = False
    folders: tuple[tuple[str, Path], ...] = ()


def selected(rows: Sequence[RunRow], marked: Sequence[Path], study: str = "") -> tuple[str, list[RunRow]]:
    """Return what to compare and its name: the marked runs, else the study, else the newest evaluated runs.

    Args:
        study: one of `studies_of`, `NEWEST`, or empty for the study that was evaluated last.
    """
    if marked:
        chosen = [row for folder in marked for row in rows if row.folder == folder]
        return f"{plural(len(chosen), 'marked run')}", chosen
    study = study or next(iter(studies_of(rows)), "")
    of_study = [row for row in reversed(rows) if row.study and row.study == study and not row.archived]
    if of_study:
        return f"study {study}", list({row.title: row for row in of_study}.values())
    return "the newest evaluated runs", [row for row in rows if row.evaluated and not row.archived][:MOST_ROWS][::-1]


def studies_of(rows: Iterable[RunRow]) -> list[str]:
    """Return the studies with an evaluated run, the newest first."""
    return list(dict.fromkeys(row.study for row in rows if row.study and row.evaluated and not row.archived))


def next_study(rows: Sequence[RunRow], study: str) -> str:
    """Return the study behind `study`; the newest evaluated runs stand behind the last one."""
    choices = [*studies_of(rows), NEWEST]
    here = choices.index(study) if study in choices else 0
    return choices[(here + 1) % len(choices)]


class EntryCache:
    """Entries of runs, each read again only when its files change."""

    def __init__(self, runs: RunList) -> None:
        self._runs = runs
        self._entries: dict[Path, tuple[tuple[int, ...], list[Entry]]] = {}

    def read(self, rows: Sequence[RunRow]) -> tuple[Stamp, list[Entry]]:
        """Return the entries of `rows`, exported artefacts behind their runs, and a stamp that changes with them.

        Raises:
            LabError: a folder is damaged.
        """
        from lab.compare.artifacts import load_entries

        found: dict[Path, tuple[tuple[int, ...], list[Entry]]] = {}
        for row in rows:
            info = self._runs.info(row.folder)
            stamp = _stamp(row)
            before = self._entries.get(row.folder)
            if before is not None and before[0] == stamp:
                found[row.folder] = before
            elif info is not None:
                found[row.folder] = (stamp, load_entries(info))
        self._entries = found
        stamps = tuple((folder, stamp) for folder, (stamp, _) in found.items())
        return stamps, [entry for _, entries in found.values() for entry in entries]

    def untuned(self, rows: Iterable[RunRow]) -> tuple[Stamp, list[RunInfo]]:
        """Return the completed baselines among `rows`, of which one may frame a table, and their stamp."""
        own = [row for row in rows if row.method == "baseline" and row.state == "completed" and row.evaluated]
        infos = [info for row in own if (info := self._runs.info(row.folder)) is not None]
        return tuple((row.folder, _stamp(row)) for row in own), infos


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

    def read(self, rows: Sequence[RunRow], marked: Sequence[Path], study: str = "") -> Results:
        """Return the comparison as far as it is made; `tested` is False while there is more to do."""
        title, chosen = selected(rows, marked, study)
        if not chosen:
            return self._keep((title, ()), Results(title, problem="No run has been evaluated yet.", tested=True))
        try:
            own, entries = self._entries.read(chosen)
            others, infos = self._entries.untuned(rows)
            stamp = own + others
            tested = (title, stamp) == self._stamp
            if tested and self._results.tested:
                return self._results
            table = _table(entries, infos, _axes(title), whole=tested)
        except LabError as error:
            return self._keep((title, ()), Results(title, problem=str(error), tested=True))
        folders = {row.run.id: row.folder for row in chosen} | {info.id: info.run.folder for info in infos}
        self._stamp = (title, stamp)
        self._results = Results(title, table, "", tested, tuple(folders.items()))
        return self._results

    def _keep(self, stamp: tuple[str, Stamp], results: Results) -> Results:
        """Return what is shown already, if that says the same."""
        before = self._results
        if (before.title, before.problem, before.table) != (results.title, results.problem, None):
            self._results = results
        self._stamp = stamp
        return self._results


def _table(entries: Sequence[Entry], infos: Iterable[RunInfo], axes: tuple[str, ...], *, whole: bool) -> Table:
    """Return the table with the untuned model; a `whole` one has floor, ceiling and tests, which take their time."""
    from lab.compare.table import build_table
    from lab.compare.untuned import with_untuned

    return build_table(with_untuned(entries, infos, axes), axes, floor=whole, tests=whole)


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
    """The losses of several runs in one chart; pens belong to runs and stay when others come and go."""

    def __init__(self) -> None:
        self._curves: dict[Path, RunCurves] = {}
        self._pens: dict[Path, Pen] = {}

    def read(self, rows: Sequence[RunRow], view: View) -> tuple[Chart, bool]:
        """Return the chart, and whether more is waiting to be read."""
        own = [row for row in rows if row.method != "baseline"]
        self._curves = {row.folder: self._curves.get(row.folder) or RunCurves(row.run) for row in own}
        behind = False
        for curves in self._curves.values():
            behind = (curves.read(READ_SECONDS) and curves.read_share < 1) or behind
        return self._chart(own, view), behind

    def pens(self, folders: Sequence[Path]) -> dict[Path, Pen]:
        """Return what draws the runs: each one's own from before, else the first that is free among them."""
        given: dict[Path, Pen] = {}
        for folder in folders:
            if (own := self._pens.get(folder)) is not None and own not in given.values():
                given[folder] = own
        for folder in folders:
            if folder not in given:
                free = (pen for pen in PENS if pen not in given.values())
                given[folder] = next(free, PENS[len(given) % len(PENS)])
        self._pens |= given
        return given

    def _chart(self, rows: Sequence[RunRow], view: View) -> Chart:
        last = max((curves.step for curves in self._curves.values()), default=0)
        ends = (1.0, float(max(last, 2)))
        pens = self.pens([row.folder for row in rows])
        lines: list[Curve] = []
        for row in rows:
            curves = self._curves[row.folder]
            column = curves.smoothed.follow(view.smoothing) if view.smoothing else curves.columns["loss"]
            if len(column):
                role, turn = pens[row.folder]
                lines.append(replace(cut(role, column, ends, view.columns), turn=turn))
        log = view.log and any(y > 0 for line in lines for y in line.ys)
        note = " · ".join(([f"smoothed .{view.smoothing * 10:.0f}"] if view.smoothing else []) + (["log"] * log))
        return Chart(
            "overlay", "loss", "", note, tuple(lines), x_range=ends, log=log, empty="none of these runs has steps"
        )

"""What stands between the run folders and the pages: a request goes in, one frozen snapshot comes out.

`Feed.read` runs in one thread worker of the app at a time; nothing else reads runs for the console.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from textual.message import Message

from lab.console.logtail import last_lines
from lab.console.request import Request
from lab.console.rows import RunRow
from lab.console.runlist import RunList
from lab.console.turns import politely
from lab.runs.paths import RunPaths
from lab.runs.store import short_id_among

if TYPE_CHECKING:
    from lab.console.answers import Answers
    from lab.console.charts import Chart, Pen
    from lab.console.comparing import Comparing
    from lab.console.live import Live, LiveReader
    from lab.console.profilelist import ProfileList, ProfileRow
    from lab.console.results import Results
    from lab.console.system import System, SystemReader

READERS_KEPT = 3


@dataclass(frozen=True)
class Snapshot:
    """What the pages show. Equal snapshots need no painting.

    Attributes:
        fitting: folders of the runs that fit the filter; `complaint` says what is wrong with it.
        pens: what draws the runs in the overlaid curves.
        behind: more is waiting to be read.
        loaded: something was read; False before the first read.
    """

    runs: tuple[RunRow, ...] = ()
    fitting: frozenset[Path] = frozenset()
    complaint: str = ""
    live: Live | None = None
    profiles: tuple[ProfileRow, ...] = ()
    results: Results | None = None
    overlay: Chart | None = None
    pens: tuple[tuple[Path, Pen], ...] = ()
    answers: Answers | None = None
    system: System | None = None
    log: tuple[str, ...] = ()
    behind: bool = False
    loaded: bool = False

    @property
    def living(self) -> tuple[RunRow, ...]:
        return tuple(row for row in self.runs if row.live)


class Arrived(Message):
    """A new snapshot. A newer one replaces it while it still waits in the queue."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self.snapshot = snapshot

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, Arrived)


class Feed:
    """Reads the runs under `root`; keeps its place in the files of the runs that were watched last."""

    def __init__(self, root: Path, clock: Callable[[], float] = time.time) -> None:
        self._root = root
        self._clock = clock
        self._list = RunList(root)
        self._readers: dict[Path, LiveReader] = {}
        self._pages: dict[str, Callable[[Snapshot, Request], Snapshot]] = {
            "runs": self._read_runs,
            "live": self._read_live,
            "profiles": self._read_profiles,
            "results": self._read_results,
            "samples": self._read_samples,
            "system": self._read_system,
            "chat": lambda base, request: base,
        }

    @cached_property
    def _comparing(self) -> Comparing:
        from lab.console.comparing import Comparing  # as does what compares runs

        return Comparing(self._list)

    @cached_property
    def _profiles(self) -> ProfileList:
        from lab.console.profilelist import ProfileList  # the profile's schema takes long to load

        return ProfileList()

    @cached_property
    def _system(self) -> SystemReader:
        from lab.console.system import SystemReader  # as does psutil

        return SystemReader(self._root)

    def look_ahead(self) -> None:
        """Read what a page that was not shown yet will need, so that it is there at once."""
        self._profiles.read()

    def read(self, request: Request, before: Snapshot) -> Snapshot:
        """Return what `request` asks for, after bounded work; what only other pages show stays as it was `before`."""
        log = last_lines(RunPaths(request.log).log) if request.log is not None else ()
        base = replace(before, runs=self._list.read(), log=log, behind=False, loaded=True)
        return self._pages[request.page](base, request)

    def _read_runs(self, base: Snapshot, request: Request) -> Snapshot:
        fitting, complaint = self._list.fitting(request.query)
        return replace(base, fitting=fitting, complaint=complaint)

    def _read_live(self, base: Snapshot, request: Request) -> Snapshot:
        row = chosen(base.runs, request.run)
        if row is None:
            return replace(base, live=None)
        from lab.console.plot import ASCII, UNICODE, draw

        reader = self._reader(row)
        behind = reader.read()
        live = reader.live(row, request.view)
        sizes = {name: (width, height) for name, width, height in request.chart_sizes}
        for chart in politely(live.charts):
            if chart.name in sizes:
                draw(chart, *sizes[chart.name], ASCII if request.plain else UNICODE)
        short = short_id_among(row.id, (run.id for run in base.runs))
        return replace(base, live=replace(live, sizes=request.chart_sizes, short_id=short), behind=behind)

    def _read_profiles(self, base: Snapshot, request: Request) -> Snapshot:
        return replace(base, profiles=self._profiles.read())

    def _read_results(self, base: Snapshot, request: Request) -> Snapshot:
        results = self._comparing.results.read(base.runs, request.marked, request.study)
        base = replace(base, results=results, behind=not results.tested)
        if not request.overlay:
            return base
        chart, pens, behind = self._comparing.curves(base.runs, request)
        return replace(base, overlay=chart, pens=pens, behind=base.behind or behind)

    def _read_samples(self, base: Snapshot, request: Request) -> Snapshot:
        answers = self._comparing.answers.read(base.runs, request.marked, request.samples, request.study)
        return replace(base, answers=answers)

    def _read_system(self, base: Snapshot, request: Request) -> Snapshot:
        return replace(base, system=self._system.read(base.runs))

    def _reader(self, row: RunRow) -> LiveReader:
        from lab.console.live import LiveReader

        reader = self._readers.pop(row.folder, None) or LiveReader(row.run, self._clock)
        self._readers[row.folder] = reader  # the newest is last
        for folder in list(self._readers)[:-READERS_KEPT]:
            del self._readers[folder]
        return reader


def chosen(runs: tuple[RunRow, ...], folder: Path | None) -> RunRow | None:
    """Return the run in `folder`; where that is None or gone, the newest living run, else the newest."""
    named = next((row for row in runs if row.folder == folder), None)
    return named or next((row for row in runs if row.live), None) or (runs[0] if runs else None)

"""What stands between the run folders and the pages: a request goes in, one frozen snapshot comes out.

`Feed.read` runs in one thread worker of the app at a time; nothing else reads runs for the console.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from textual.message import Message

from lab.console.charts import View
from lab.console.live import Live, LiveReader
from lab.console.rows import RunList, RunRow

READERS_KEPT = 3


@dataclass(frozen=True)
class Request:
    """What the visible page needs.

    Attributes:
        page: the page that is shown; the others get nothing new.
        run: the run chosen for the Live page; None for the newest living one, or the newest.
        view: how the curves are wanted.
    """

    page: str
    run: Path | None = None
    view: View = field(default_factory=View)


@dataclass(frozen=True)
class Snapshot:
    """What the pages show. Equal snapshots need no painting.

    Attributes:
        loaded: something was read; False before the first read.
        behind: more is waiting to be read.
    """

    runs: tuple[RunRow, ...] = ()
    live: Live | None = None
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
        self.root = root
        self._clock = clock
        self._list = RunList(root)
        self._readers: dict[Path, LiveReader] = {}

    def read(self, request: Request) -> Snapshot:
        """Return what `request` asks for, after bounded work."""
        runs = self._list.read()
        if request.page != "live":
            return Snapshot(runs, loaded=True)
        row = chosen(runs, request.run)
        if row is None:
            return Snapshot(runs, loaded=True)
        reader = self._reader(row)
        behind = reader.read()
        return Snapshot(runs, reader.live(row, request.view), behind, loaded=True)

    def _reader(self, row: RunRow) -> LiveReader:
        reader = self._readers.pop(row.folder, None) or LiveReader(row.run, self._clock)
        self._readers[row.folder] = reader  # the newest is last
        for folder in list(self._readers)[:-READERS_KEPT]:
            del self._readers[folder]
        return reader


def chosen(runs: tuple[RunRow, ...], folder: Path | None) -> RunRow | None:
    """Return the run in `folder`; where that is None or gone, the newest living run, else the newest."""
    named = next((row for row in runs if row.folder == folder), None)
    return named or next((row for row in runs if row.live), None) or (runs[0] if runs else None)

"""The runs under a folder, followed by the feed's thread.

A run that has ended is read again only when its files change; its curve is a few samples of the event log, so that a
long list of long runs opens at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.console.rows import RunRow, row_of
from lab.errors import UsageError
from lab.jsonio import as_float
from lab.runs.paths import RunPaths
from lab.runs.store import RunInfo, read_run

SPARK_POINTS = 24
SPARK_BLOCK = 4096
Stamp = tuple[int, ...]


def sample_losses(path: Path, points: int = SPARK_POINTS) -> tuple[float, ...]:
    """Return losses from places spread evenly over an event log, reading a few kilobytes however long it is."""
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            found: dict[float, float] = {}
            for index in range(points):
                offset = max(size * index // points - 1, 0)
                file.seek(offset)
                found |= _first_loss(file.read(SPARK_BLOCK), whole=offset == 0)
    except OSError:
        return ()
    return tuple(found.values())


def _first_loss(block: bytes, *, whole: bool) -> dict[float, float]:
    """Return {step: loss} of the first step event in a block, which begins within a line unless it is `whole`."""
    lines = block.split(b"\n")
    for line in lines[0 if whole else 1 :]:
        if b'"step"' not in line or b'"loss"' not in line:
            continue
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and record.get("type") == "step":
            step, loss = as_float(record.get("step")), as_float(record.get("loss"))
            return {} if step is None or loss is None else {step: loss}
    return {}


@dataclass(frozen=True)
class Known:
    """A run as it was read last: `stamp` are the ages of its files then."""

    stamp: Stamp
    info: RunInfo
    row: RunRow

    @property
    def settled(self) -> bool:
        """Whether it can only change with its files: not so while it is worked on, or while Slurm may take it up."""
        return not (self.row.live or self.info.record.get("unsettled"))


class RunList:
    """The runs under `root`, read again as far as their files have changed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._known: dict[Path, Known] = {}
        self._query = ""
        self._keep: Callable[[RunInfo], bool] = lambda info: True
        self._fits: dict[Path, tuple[Stamp, bool]] = {}

    def read(self) -> tuple[RunRow, ...]:
        """Return every run, the newest first."""
        folders = _folders(self.root)
        self._known = {p: entry for p in folders if (entry := self._entry(p)) is not None}
        rows = [known.row for known in self._known.values()]
        return tuple(sorted(rows, key=lambda row: (row.created, row.id), reverse=True))

    def _entry(self, folder: Path) -> Known | None:
        run = RunPaths(folder)
        stamp = (_stamp(run.state), _stamp(run.labels), _stamp(run.evaluation), _stamp(run.events))
        known = self._known.get(folder)
        if known is not None and known.stamp == stamp and known.settled:
            return known
        try:
            info = read_run(run)
        except (OSError, TypeError, ValueError):  # a folder that is damaged or not ours must not hide the others
            return None
        if info is None:
            return None
        same_events = known is not None and known.stamp[-1] == stamp[-1]
        spark = known.row.spark if known is not None and same_events else sample_losses(run.events)
        return Known(stamp, info, row_of(info, spark))

    def fitting(self, query: str) -> tuple[frozenset[Path], str]:
        """Return the folders of the runs that fit `query`, and what is wrong with it; then the last good one counts."""
        complaint = ""
        if query != self._query:
            from lab.compare.filters import parse_query

            try:
                self._keep = parse_query(query)
                self._query, self._fits = query, {}
            except UsageError as error:
                complaint = str(error)
        self._fits = {folder: self._fit(folder, known) for folder, known in self._known.items()}
        return frozenset(folder for folder, (_, fits) in self._fits.items() if fits), complaint

    def _fit(self, folder: Path, known: Known) -> tuple[Stamp, bool]:
        before = self._fits.get(folder)
        if before is not None and before[0] == known.stamp and known.settled:
            return before
        return known.stamp, self._keep(known.info)

    def info(self, folder: Path) -> RunInfo | None:
        """Return what was read last of the run in `folder`."""
        known = self._known.get(folder)
        return known.info if known is not None else None


def _folders(root: Path) -> list[Path]:
    try:
        return [p for p in root.iterdir() if p.is_dir()]
    except OSError:
        return []


def _stamp(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0

"""What Results and Samples share: the entries of the chosen runs, read once for both. Held by the feed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab.console.answers import AnswersReader
from lab.console.charts import Chart, Pen
from lab.console.request import Request
from lab.console.results import EntryCache, OverlayReader, ResultsReader, selected
from lab.console.rows import RunRow
from lab.console.runlist import RunList


class Comparing:
    """The readers of both pages over the runs of `runs`."""

    def __init__(self, runs: RunList) -> None:
        entries = EntryCache(runs)
        self.results = ResultsReader(entries)
        self.answers = AnswersReader(entries)
        self._overlay = OverlayReader()

    def curves(self, rows: Sequence[RunRow], request: Request) -> tuple[Chart, tuple[tuple[Path, Pen], ...], bool]:
        """Return the losses over each other, what draws the runs, and whether more is waiting."""
        _, chosen = selected(rows, request.marked, request.study)
        chart, behind = self._overlay.read(chosen, request.view)
        pens = self._overlay.pens([row.folder for row in chosen if row.method != "baseline"])
        return chart, tuple(pens.items()), behind

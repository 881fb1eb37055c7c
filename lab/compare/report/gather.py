"""Everything that a report shows, read from run folders once. Called by `lab report`; the views only write it down."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from lab.compare.columns import Column
from lab.compare.entry import Entry, load_entry
from lab.compare.report.answer import answer_sentence, headline_column
from lab.compare.report.figures import RunCurves, read_curves
from lab.compare.report.verdicts import verdicts
from lab.compare.samples import Sample, samples
from lab.compare.table import Table, build_table
from lab.errors import DataError, UsageError
from lab.runs.store import RunInfo

SAMPLES = 16


@dataclass(frozen=True)
class ReportRow:
    """One run of the report: its number and colour are the same in the table and in every chart."""

    number: int
    entry: Entry
    info: RunInfo
    label: str
    curves: RunCurves

    @property
    def shade(self) -> str:
        """The class that gives the row its colour."""
        return f"s{(self.number - 1) % 8}"


@dataclass(frozen=True)
class Report:
    """A study as its report tells it. All texts are clean of control characters, none is escaped.

    Attributes:
        question: what the study asks, in its own words.
        answer: one sentence, computed from the numbers.
        headline: the metric that the answer and the trade-offs are about; None where nothing was evaluated.
        verdicts: what people said of pairs of its runs.
        missing: rows of the study without a finished run.
        command: what makes the study again.
    """

    name: str
    question: str
    answer: str
    headline: Column | None
    table: Table
    rows: tuple[ReportRow, ...]
    samples: tuple[Sample, ...]
    verdicts: tuple[str, ...]
    missing: tuple[str, ...]
    command: str
    made: str


def gather(
    infos: Sequence[RunInfo],
    *,
    name: str,
    question: str = "",
    axes: Sequence[str] = (),
    missing: Sequence[str] = (),
    command: str = "",
) -> Report:
    """Read the folders of `infos`, in table order, and work out what the report says.

    Args:
        axes: key paths that the study varies on purpose.
    """
    entries = [load_entry(info) for info in infos]
    table = build_table(entries, axes=axes, floor=True)
    headline = headline_column(table)
    rows = [
        ReportRow(number, entry, info, table.labels[entry.id], read_curves(info.run))
        for number, (entry, info) in enumerate(zip(entries, infos, strict=True), 1)
    ]
    return Report(
        name=name,
        question=question,
        answer=answer_sentence(table, headline),
        headline=headline,
        table=table,
        rows=tuple(rows),
        samples=tuple(_samples(entries)),
        verdicts=tuple(verdicts(entries, infos, table.labels)),
        missing=tuple(missing),
        command=command,
        made=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    )


def _samples(entries: Sequence[Entry]) -> list[Sample]:
    """Return the rows on which the runs disagree most, else the first; none where the runs share no rows."""
    try:
        return samples(entries, rows=SAMPLES, sort="disagreement")
    except UsageError:  # no metric in common; DataError, which is one too: no row in common
        pass
    try:
        return samples(entries, rows=SAMPLES)
    except DataError:
        return []

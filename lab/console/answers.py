"""Answers of the compared runs side by side, for the Samples page. Called by the feed's thread."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab.console.request import SampleAsk
from lab.console.results import EntryCache, Stamp, selected
from lab.console.rows import RunRow
from lab.errors import LabError

if TYPE_CHECKING:
    from lab.compare.samples import Sample

SORTS = ("index", "metric", "disagreement")
_WORD = re.compile(r"\w+|\s+|[^\w\s]")


@dataclass(frozen=True, eq=False)
class Answers:
    """All rows that the compared runs share. Compared by identity: unchanged ones are the same object.

    Attributes:
        labels: (run id, its name), in the table's order.
        sort, metric: their order, and what people call the metric that it goes by.
        problem: why there are none.
    """

    title: str
    samples: tuple[Sample, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    sort: str = "index"
    metric: str = ""
    problem: str = ""


class AnswersReader:
    """Reads the answers anew only when runs, order or search change."""

    def __init__(self, entries: EntryCache) -> None:
        self._entries = entries
        self._key: tuple[str, Stamp, SampleAsk] | None = None
        self._answers = Answers("")

    def read(self, rows: Sequence[RunRow], marked: Sequence[Path], ask: SampleAsk, study: str = "") -> Answers:
        title, chosen = selected(rows, marked, study)
        try:
            stamp, found = self._entries.read(chosen)
            entries = [entry for entry in found if entry.kind == "run"]
            if (title, stamp, ask) == self._key:
                return self._answers
            from lab.compare.entry import row_labels
            from lab.compare.samples import samples, sort_label

            self._key = (title, stamp, ask)
            rows_shown = samples(entries, rows=0, sort=ask.sort, search=ask.search)
            named = row_labels(entries)
            labels = tuple((entry.id, named[entry.id]) for entry in entries if entry.evaluation is not None)
            self._answers = Answers(title, tuple(rows_shown), labels, ask.sort, sort_label(entries, ask.sort))
        except LabError as error:
            if self._answers.problem != error.problem:
                self._answers = Answers(title, problem=error.problem)
        return self._answers


def marked_words(text: str, reference: str) -> list[tuple[str, bool]]:
    """Return `text` in pieces, each with whether its words differ from those of `reference`."""
    words, wanted = _WORD.findall(text), _WORD.findall(reference)
    matcher = difflib.SequenceMatcher(None, words, wanted, autojunk=False)
    pieces: list[tuple[str, bool]] = []
    for kind, start, end, _, _ in matcher.get_opcodes():
        if end > start:
            pieces.append(("".join(words[start:end]), kind != "equal"))
    return pieces

"""What people said of pairs of a report's runs, where somebody rated them blind. Called by `gather`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from lab.compare.entry import Entry
from lab.compare.rating import begin, summary
from lab.compare.views.ratings import summary_as_text
from lab.errors import LabError
from lab.runs.ratings import pair_of, read_verdicts
from lab.runs.store import RunInfo


def verdicts(entries: Sequence[Entry], infos: Sequence[RunInfo], labels: Mapping[str, str]) -> list[str]:
    """Return a text for each pair that was rated, seen from the later row: the table's first is mostly the baseline."""
    found = []
    for (one, first), (other, second) in itertools.combinations(zip(entries, infos, strict=True), 2):
        if not read_verdicts(*pair_of(first.run, second.run)):
            continue
        try:
            session = begin(one, other, (first.run, second.run))
        except LabError:  # the answers that were rated are gone
            continue
        if session.verdicts:
            found.append(summary_as_text(summary(session, other.id), labels))
    return found

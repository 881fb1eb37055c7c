"""How each row of a table differs from its reference row, tested on the same answers. Called by the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab.compare.entry import Entry, answers_of
from lab.errors import DataError
from lab.scoring.names import METRIC_NAMES

if TYPE_CHECKING:
    from lab.compare.intervals import Difference
    from lab.scoring.answers import Answer

RESAMPLES = 10_000


@dataclass(frozen=True)
class Delta:
    """How much larger a metric is than in the reference row, with its 95 % interval.

    `p_holm` is the p-value corrected for all differences of the table; None where nothing could be tested.
    """

    difference: float
    low: float | None
    high: float | None
    p_value: float | None
    p_holm: float | None
    rows: int
    test: str

    def as_json(self) -> dict[str, Any]:
        return dict(vars(self))


def deltas_to(
    reference: Entry, others: Sequence[Entry], *, resamples: int = RESAMPLES
) -> tuple[dict[tuple[str, str], Delta], list[str]]:
    """Return the differences by (row id, metric), and a sentence for each row that could not be tested.

    A metric is tested where both rows have it with the same signature.
    """
    rows = [entry for entry in others if entry.id != reference.id]
    if not rows:
        return {}, []
    try:
        base = answers_of(reference)
    except DataError as error:
        return {}, [f"Differences to {reference.name} are not tested: {error.problem}"]
    return _tested(reference, base, rows, resamples)


def _tested(
    reference: Entry, base: list[Answer], rows: Sequence[Entry], resamples: int
) -> tuple[dict[tuple[str, str], Delta], list[str]]:
    from lab.compare.intervals import differences_to, same_rows

    answers: dict[str, list[Answer]] = {}
    notes: list[str] = []
    for entry in rows:
        try:
            own = answers_of(entry)
            same_rows(base, own)
            answers[entry.id] = own
        except DataError as error:
            notes.append(f"Differences of {entry.name} to {reference.name} are not tested: {error.problem}")
    names = {entry.id: _shared(entry, reference) for entry in rows if entry.id in answers}
    return _corrected(differences_to(base, answers, names, resamples=resamples)), notes


def _shared(entry: Entry, reference: Entry) -> list[str]:
    return [
        name
        for name in METRIC_NAMES
        if name in entry.metrics
        and name in reference.metrics
        and entry.metrics[name]["signature"] == reference.metrics[name]["signature"]
    ]


def _corrected(found: dict[tuple[str, str], Difference]) -> dict[tuple[str, str], Delta]:
    from lab.compare.intervals import holm

    corrected = holm({key: d.p_value for key, d in found.items() if d.p_value is not None})
    return {
        key: Delta(d.difference, d.low, d.high, d.p_value, corrected.get(key), d.rows, d.test)
        for key, d in found.items()
    }

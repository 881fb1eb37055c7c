"""How each row of a table differs from its reference row, tested on the same answers. Called by the table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab.compare.entry import Entry, answers_of
from lab.compare.tasks import TEST, metric_key
from lab.errors import DataError
from lab.scoring.names import METRIC_NAMES
from lab.text import plural

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

    A metric is tested where both rows have it with the same signature: those of the test rows, and those of each task.
    """
    rows = [entry for entry in others if entry.id != reference.id]
    found: dict[tuple[str, str], Difference] = {}
    notes: list[str] = []
    for task in (TEST, *reference.tasks) if rows else ():
        own = [entry for entry in rows if task == TEST or task in entry.tasks]
        tested, sentences = _tested(reference, own, task, resamples)
        found |= tested
        notes += sentences
    return _corrected(found), notes


def same_answers(deltas: Iterable[Delta]) -> str:
    """Return on what differences were tested, for people: "200 answers"; "answers" where sets differ in size."""
    sizes = {delta.rows for delta in deltas}
    return plural(sizes.pop(), "answer") if len(sizes) == 1 else "answers"


def _tested(
    reference: Entry, rows: Sequence[Entry], task: str, resamples: int
) -> tuple[dict[tuple[str, str], Difference], list[str]]:
    """Return the differences in the metrics of one task, by (row id, key of the metric)."""
    from lab.compare.intervals import differences_to, same_rows

    of = "" if task == TEST else f" in {task}"
    try:
        base = answers_of(reference, task)
    except DataError as error:
        return {}, [f"Differences to {reference.name}{of} are not tested: {error.problem}"]
    answers: dict[str, list[Answer]] = {}
    notes: list[str] = []
    for entry in rows:
        try:
            own = answers_of(entry, task)
            same_rows(base, own)
            answers[entry.id] = own
        except DataError as error:
            notes.append(f"Differences of {entry.name} to {reference.name}{of} are not tested: {error.problem}")
    names = {entry.id: _shared(entry, reference, task) for entry in rows if entry.id in answers}
    found = differences_to(base, answers, names, resamples=resamples)
    return {(row, metric_key(task, name)): difference for (row, name), difference in found.items()}, notes


def _shared(entry: Entry, reference: Entry, task: str) -> list[str]:
    """Return the metrics of `task`, by their bare names, that both rows have with the same signature."""
    keys = {name: metric_key(task, name) for name in METRIC_NAMES}
    return [
        name
        for name, key in keys.items()
        if key in entry.metrics
        and key in reference.metrics
        and entry.metrics[key]["signature"] == reference.metrics[key]["signature"]
    ]


def _corrected(found: dict[tuple[str, str], Difference]) -> dict[tuple[str, str], Delta]:
    from lab.compare.intervals import holm

    corrected = holm({key: d.p_value for key, d in found.items() if d.p_value is not None})
    return {
        key: Delta(d.difference, d.low, d.high, d.p_value, corrected.get(key), d.rows, d.test)
        for key, d in found.items()
    }

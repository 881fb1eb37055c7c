"""The floor and the ceiling of a table: what chance agreement scores on its rows, and what the references score.

Called by the table, from the answers of one of its rows; nothing is generated.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from lab.compare.entry import Entry, answers_of, stored_bertscores
from lab.errors import DataError
from lab.scoring.names import LIKELIHOOD

if TYPE_CHECKING:
    from lab.scoring.answers import Answer

NOTES = {
    "floor": "answers each row with another row's reference",
    "ceiling": "answers each row with its own reference",
}


def floor_entry(entry: Entry, *, seed: int = 0) -> Entry:
    """Return the row in which each of `entry`'s rows is answered with another row's reference.

    What a metric gives there, it gives for the form of the answers alone.

    Raises:
        DataError: `entry` has no answers, or only one: there is no other row's reference.
    """
    answers = _with_references(entry)
    if len(answers) < 2:
        raise DataError("A floor needs two rows with references.", "Evaluate more rows: set `evaluate.rows`.")
    return _scored(entry, answers, shuffled_references(answers, seed=seed), "floor")


def shuffled_references(answers: Sequence[Answer], *, seed: int = 0) -> list[str]:
    """Return for each row another row's first reference; all of two or more rows have some."""
    return [answers[index].references[0] for index in _cycle(len(answers), seed)]


def ceiling_entry(entry: Entry) -> Entry:
    """Return the row in which each reference is its own answer: the most that a metric can give on these rows.

    Raises:
        DataError: `entry` has no answers.
    """
    answers = _with_references(entry)
    return _scored(entry, answers, [answer.references[0] for answer in answers], "ceiling")


def _with_references(entry: Entry) -> list[Answer]:
    answers = answers_of(entry)
    if not answers or not all(answer.references for answer in answers):
        raise DataError(f"{entry.name} has no answers with references.", f"Evaluate it: `lab eval {entry.id}`.")
    return answers


def _cycle(count: int, seed: int) -> list[int]:
    """Return a random order in which nothing keeps its place (one cycle: Sattolo, 1986)."""
    order, draw = list(range(count)), random.Random(seed)
    for last in range(count - 1, 0, -1):
        other = draw.randrange(last)
        order[last], order[other] = order[other], order[last]
    return order


def _scored(entry: Entry, answers: list[Answer], texts: list[str], kind: str) -> Entry:
    from lab.compare.statistics import samples_for
    from lab.scoring.bertscore import with_scores
    from lab.scoring.metrics import METRICS
    from lab.scoring.score import score

    names = [metric for metric in entry.metrics if metric in METRICS and metric not in LIKELIHOOD]
    said = [replace(a, text=text, finish="stop", nll=None) for a, text in zip(answers, texts, strict=True)]
    scored = score(with_scores(said, stored_bertscores(entry)), names, read=samples_for)
    return Entry(
        id=kind,
        kind=kind,
        name=kind,
        notes=(NOTES[kind],),
        metrics=scored["metrics"],
        counts=scored["counts"],
        cost=dict.fromkeys(entry.cost),
        spec=entry.spec,
    )

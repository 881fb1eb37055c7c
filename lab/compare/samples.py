"""Answers of several runs to the same rows, side by side. Called by `lab samples`, `lab demo` and the console."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from lab.compare.columns import quality_columns
from lab.compare.entry import Entry, answers_of
from lab.errors import DataError, UsageError
from lab.runs.reader import read_all
from lab.scoring.answers import Answer
from lab.scoring.names import LIKELIHOOD
from lab.text import did_you_mean, sanitize

SORTS = ("index", "metric", "disagreement")
WHOLE_SET = {"macro_f1"}
"""Metrics that a single row does not have."""


@dataclass(frozen=True)
class Sample:
    """One row and what each run answered. Texts are clean.

    Attributes:
        answers, finishes, scores: by run id; scores are this row's own, so not all metrics of a table have one.
    """

    id: str
    prompt: str
    references: tuple[str, ...]
    answers: dict[str, str] = field(default_factory=dict)
    finishes: dict[str, str] = field(default_factory=dict)
    scores: dict[str, dict[str, float]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {**vars(self), "references": [*self.references]}


@dataclass(frozen=True)
class _Shared:
    """The rows that all runs answered: `answers` by run id, each in the order of `ids`."""

    ids: list[str]
    prompts: list[str]
    answers: dict[str, list[Answer]]

    def at(self, rows: Sequence[int]) -> _Shared:
        answers = {run: [own[row] for row in rows] for run, own in self.answers.items()}
        return _Shared([self.ids[row] for row in rows], [self.prompts[row] for row in rows], answers)


def samples(entries: Sequence[Entry], *, rows: int = 3, sort: str = "index", search: str = "") -> list[Sample]:
    """Return up to `rows` rows (0: all) with the answers of each evaluated run among `entries`.

    Args:
        sort: "index" as they were asked; a metric's name, or "metric" for the first that all runs have: the worst
            first, on average over runs; "disagreement" first the rows whose scores in that first metric lie furthest
            apart, then those with the most different answers.
        search: keep rows with this text in prompt, references or answers, in any case.

    Raises:
        DataError: no run has answers, or the runs share no row with the same references.
        UsageError: no such sort, or not all runs have that metric.
    """
    evaluated = [entry for entry in entries if entry.evaluation is not None]
    shared = _shared(evaluated)
    names = _common(evaluated)
    found = [row for row in range(len(shared.ids)) if _mentions(shared, row, search.casefold())]
    if sort != "index":
        metric = _metric(sort, names)
        found = _sorted(shared.at(found), found, metric, spread=sort == "disagreement") if found else []
    return _shown(shared.at(found[:rows] if rows else found), names)


def sort_label(entries: Sequence[Entry], sort: str) -> str:
    """Return what people call the metric by which `samples` sorts; empty for "index". Raises like it."""
    evaluated = [entry for entry in entries if entry.evaluation is not None]
    if sort == "index" or not evaluated:
        return ""
    return quality_columns([_metric(sort, _common(evaluated))])[0].label


def _common(entries: Sequence[Entry]) -> list[str]:
    """Return the metrics that all of at least one run have and single rows can have."""
    common = set.intersection(*(set(entry.metrics) for entry in entries)) - WHOLE_SET
    return [column.key for column in quality_columns(common)]


def row_scores(answers: Sequence[Answer], names: Sequence[str]) -> list[dict[str, float]]:
    """Return each row's own value of each metric; those that only a whole set has (macro F1) are left out."""
    from lab.compare.statistics import samples_for
    from lab.scoring.metrics import METRICS
    from lab.series.bootstrap import Sparse

    found: list[dict[str, float]] = [{} for _ in answers]
    there = [name for name in names if name in METRICS and METRICS[name].missing(answers) is None]
    for name, sample in samples_for(answers, there).items():
        if not isinstance(sample.statistics, Sparse):
            for scores, value in zip(found, sample.aggregate(sample.statistics).tolist(), strict=True):
                scores[name] = value
    return found


def _shared(entries: Sequence[Entry]) -> _Shared:
    if not entries:
        raise DataError("None of these runs has answers yet.", "Evaluate one: `lab eval RUN`.")
    answers = {entry.id: {answer.id: answer for answer in answers_of(entry)} for entry in entries}
    first = entries[0].id
    ids = [
        row
        for row, answer in answers[first].items()
        if all(row in own and own[row].references == answer.references for own in answers.values())
    ]
    if not ids:
        raise DataError("These runs share no row with the same references.", "Choose runs on the same data.")
    lines = read_all(entries[0].evaluation.generations) if entries[0].evaluation else ()
    prompts = {str(line.get("id")): str(line.get("prompt") or "") for line in lines}
    return _Shared(ids, [prompts[row] for row in ids], {run: [own[row] for row in ids] for run, own in answers.items()})


def _mentions(shared: _Shared, row: int, search: str) -> bool:
    answers = [own[row] for own in shared.answers.values()]
    texts = (shared.prompts[row], *answers[0].references, *(answer.text for answer in answers))
    return not search or any(search in text.casefold() for text in texts)


def _metric(sort: str, names: Sequence[str]) -> str:
    """Return the metric to sort by; likelihoods do not judge answers, so they come only where they are asked for."""
    if sort not in SORTS and sort not in names:
        shown = sanitize(sort, newlines=False, limit=80)
        hint = did_you_mean(sort, [*SORTS, *names])
        raise UsageError(f"These runs cannot be sorted by '{shown}'.{hint}", f"Use {', '.join([*SORTS, *names])}.")
    judging = [name for name in names if name not in LIKELIHOOD]
    if sort in SORTS and not judging:
        raise UsageError("These runs have no metric in common.", "Sort by index.")
    return judging[0] if sort in SORTS else sort


def _sorted(shared: _Shared, rows: Sequence[int], metric: str, *, spread: bool) -> list[int]:
    """Return `rows` (those of `shared`, in order), the worst or those of the widest spread first.

    Rows without a score come last.
    """
    scores = [[own.get(metric, math.nan) for own in row_scores(a, [metric])] for a in shared.answers.values()]
    columns = [column for column in quality_columns([metric]) if column.better == "lower"]
    sign = -1 if columns else 1

    def badness(at: int) -> tuple[float, ...]:
        own = [run[at] for run in scores]
        if any(map(math.isnan, own)):
            return (math.inf,)
        if not spread:
            return (sign * sum(own) / len(own),)
        return (min(own) - max(own), -len({run[at].text for run in shared.answers.values()}))

    key: Callable[[int], tuple[float, ...]] = badness
    return [rows[at] for at in sorted(range(len(rows)), key=key)]


def _shown(shared: _Shared, names: Sequence[str]) -> list[Sample]:
    scores = {run: row_scores(own, names) for run, own in shared.answers.items()}
    first = next(iter(shared.answers.values()))
    return [
        Sample(
            id=sanitize(shared.ids[at], newlines=False),
            prompt=sanitize(shared.prompts[at]),
            references=tuple(map(sanitize, first[at].references)),
            answers={run: sanitize(own[at].text) for run, own in shared.answers.items()},
            finishes={run: own[at].finish for run, own in shared.answers.items()},
            scores={run: own[at] for run, own in scores.items()},
        )
        for at in range(len(shared.ids))
    ]

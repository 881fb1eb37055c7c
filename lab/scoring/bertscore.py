"""`bertscore`: F1 of matched token embeddings, read from what the worker stored beside the answers.

Computing it takes a model, so that is done on the worker side (`lab.evaluation.bertscore`) and kept in the evaluation's
`bertscore.json`; scoring again needs neither model nor network. Scores are found by the texts they were computed from,
so that a stored score can never be taken for another answer's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lab import jsonio
from lab.jsonio import as_float
from lab.scoring.aggregates import column
from lab.scoring.answers import Answer
from lab.text import plural

if TYPE_CHECKING:
    from lab.series.bootstrap import Floats

FILE = "bertscore.json"


def key_of(text: str, references: Sequence[str]) -> str:
    """Return the name under which the score of an answer to a row is stored."""
    return hashlib.sha256(jsonio.dumps([text, *references]).encode("utf-8", "surrogatepass")).hexdigest()[:24]


def known(text: str, references: Sequence[str]) -> float | None:
    """Return the score where it takes no model: nothing said is 0, a reference word for word is 1; else None."""
    if not text.strip():
        return 0.0
    return 1.0 if text in references else None


def with_scores(answers: Iterable[Answer], stored: Mapping[str, Any] | None) -> list[Answer]:
    """Return the answers with their scores of `bertscore.json`; those it does not hold keep none."""
    if not stored:
        return list(answers)
    scores, signature = stored.get("scores") or {}, str(stored.get("signature") or "")
    return [replace(answer, bertscore=_score(answer, scores), bertscore_by=signature) for answer in answers]


def statistics(answers: Sequence[Answer]) -> Floats:
    """Return (rows, 2): each row's F1 against its best reference."""
    return column(answer.bertscore or 0.0 for answer in answers)


def signature(answers: Sequence[Answer]) -> str:
    """Return what the stored scores depend on: the model, its layer, how it was used."""
    return next((answer.bertscore_by for answer in answers if answer.bertscore_by), "")


def missing(answers: Sequence[Answer]) -> str | None:
    """Say why these answers have no value; None where all have one."""
    if not answers:
        return "there are no answers"
    without = sum(not answer.references for answer in answers)
    if without:
        return f"no reference on {without:,} of {plural(len(answers), 'row')}"
    lacking = sum(answer.bertscore is None for answer in answers)
    return f"not computed on {lacking:,} of {plural(len(answers), 'row')}: `lab eval` does that" if lacking else None


def _score(answer: Answer, scores: Mapping[str, Any]) -> float | None:
    found = known(answer.scored, answer.references)
    return as_float(scores.get(key_of(answer.scored, answer.references))) if found is None else found

"""`accuracy` and `macro_f1`: each answer string is a class, for classification and for answers from a small set.

Classes are compared in any case, with white space made single, quotes and emphasis around and punctuation after them
dropped; articles stay, since "A" is a class of multiple choice. Macro F1 is the unweighted mean over all classes that
references or answers name, as in scikit-learn: a class that only a wrong answer names counts with F1 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lab.scoring.aggregates import column, ratio
from lab.scoring.answers import Answer
from lab.series.bootstrap import Sparse

if TYPE_CHECKING:
    from lab.series.bootstrap import Floats

SIGNATURE = "class:casefold,single-spaces,no-quotes,no-final-punctuation|refs:any"

_AROUND = " \t\"'`*“”‘’"
_AFTER = ".,;:!。，；：！"


def label(text: str) -> str:
    """Return the class that a text names; an empty string is the class of empty and failed answers."""
    bare = " ".join(text.casefold().split())
    return bare.rstrip(_AROUND + _AFTER).lstrip(_AROUND) or bare


def accuracy(answers: Sequence[Answer]) -> Floats:
    """Return (rows, 2): one where the answer names the class of a reference; an empty answer never does."""
    return column(bool(given) and wanted == given for wanted, given in map(_classes, answers))


def confusion(answers: Sequence[Answer]) -> Sparse:
    """Return each row's share of the confusion counts: columns 0 to C - 1 hits, then C named by references or answers.

    A class's second count is its true positives twice, false positives and false negatives: the denominator of F1.
    """
    pairs = [_classes(answer) for answer in answers]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(name for pair in pairs for name in pair))}
    wanted = np.array([numbers[name] for name, _ in pairs])
    given = np.array([numbers[name] for _, name in pairs])
    hits = np.array([wanted == given and given != "" for wanted, given in pairs], dtype=np.float64)
    columns = np.stack([wanted, len(numbers) + wanted, len(numbers) + given], axis=-1)
    return Sparse(columns, np.stack([hits, np.ones_like(hits), np.ones_like(hits)], axis=-1), 2 * len(numbers))


def macro_f1(sums: Floats) -> Floats:
    """Return the mean F1 of the classes that occur, (..., 2 C) -> (...): F1 = 2 tp / (2 tp + fp + fn)."""
    classes = sums.shape[-1] // 2
    hits, named = sums[..., :classes], sums[..., classes:]
    occurs = named > 0
    scores = np.divide(2 * hits, named, out=np.zeros_like(hits), where=occurs)
    return ratio(scores.sum(axis=-1), occurs.sum(axis=-1).astype(np.float64))


def accuracy_signature(_: Sequence[Answer]) -> str:
    return f"{SIGNATURE}|agg:mean|version:1"


def macro_f1_signature(_: Sequence[Answer]) -> str:
    return f"{SIGNATURE}|classes:references-and-answers|agg:macro|version:1"


def _classes(answer: Answer) -> tuple[str, str]:
    """Return the wanted and the given class; of several references the one that the answer names, else the first."""
    given = label(answer.scored)
    wanted = [label(text) for text in answer.references]
    return (given if given in wanted else wanted[0]), given

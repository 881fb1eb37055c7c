"""Corpus chrF2 from per-row character n-gram counts, equal to sacrebleu's `corpus_chrf` with its default settings.

Popović, chrF: character n-gram F-score for automatic MT evaluation, WMT 2015. It needs no tokenizer, so it reads
Latin and other scripts alike. sacrebleu gives the signature; counting is ours, so that one pass serves the intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lab.scoring.answers import Answer

if TYPE_CHECKING:
    from lab.series.bootstrap import Floats, Integers

ORDER = 6
BETA = 2
"""Recall counts twice as much as precision."""

_LARGEST = 1 << 62  # an n-gram is a number in base "distinct characters", doubled to tell the two texts apart


def statistics(answers: Sequence[Answer]) -> Floats:
    """Return (rows, 18): for each order 1 to 6 the n-grams of the answer, of its best reference, and shared ones."""
    table = np.empty((len(answers), 3 * ORDER))
    for row, answer in zip(table, answers, strict=True):
        row[:] = _row(answer)
    return table


def aggregate(sums: Floats) -> Floats:
    """Return chrF2 as a fraction, (..., 18) -> (...).

    F of the mean precision and the mean recall, each over the orders that both texts are long enough for.
    """
    counts = sums.reshape(*sums.shape[:-1], ORDER, 3)
    given, wanted, shared = counts[..., 0], counts[..., 1], counts[..., 2]
    counted = (given > 0) & (wanted > 0)
    orders = np.maximum(counted.sum(axis=-1), 1)
    precision = np.divide(shared, given, out=np.zeros_like(shared), where=counted).sum(axis=-1) / orders
    recall = np.divide(shared, wanted, out=np.zeros_like(shared), where=counted).sum(axis=-1) / orders
    weighted = BETA**2 * precision + recall
    value: Floats = np.divide(
        (1 + BETA**2) * precision * recall, weighted, out=np.zeros_like(weighted), where=weighted > 0
    )
    return value


def signature(answers: Sequence[Answer]) -> str:
    """Return sacrebleu's own signature for these references."""
    from sacrebleu.metrics.chrf import CHRF

    scorer = CHRF()
    numbers = {len(answer.references) for answer in answers}
    scorer.num_refs = numbers.pop() if len(numbers) == 1 else -1  # -1: sacrebleu's mark for a varying number
    return str(scorer.get_signature())


def _row(answer: Answer) -> Floats:
    given = "".join(answer.scored.split())
    rows = np.array([_counts(given, "".join(text.split())) for text in answer.references], dtype=np.float64)
    best: Floats = rows[int(np.argmax(aggregate(rows)))] if len(rows) > 1 else rows[0]
    return best


def _counts(given: str, wanted: str) -> list[int]:
    """Return (answer's, reference's, shared) for each order; sacrebleu leaves out orders that no reference has."""
    letters = np.frombuffer((given + wanted).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    alphabet, ids = np.unique(letters, return_inverse=True)
    codes, bound = ids.astype(np.int64), max(1, len(alphabet))
    found: list[int] = []
    for order in range(1, ORDER + 1):
        ours, theirs = max(0, len(given) - order + 1), max(0, len(wanted) - order + 1)
        # n-grams that begin in the answer and end in the reference are nobody's
        shared = _shared(codes[:ours], codes[len(given) : len(given) + theirs]) if ours and theirs else 0
        found += [ours if theirs else 0, theirs, shared]
        if bound * len(alphabet) >= _LARGEST:  # rare: hundreds of distinct characters
            ranked, codes = np.unique(codes, return_inverse=True)
            bound = len(ranked)
        codes = codes[:-1] * len(alphabet) + ids[order:]
        bound *= len(alphabet)
    return found


def _shared(ours: Integers, theirs: Integers) -> int:
    """Return how many n-grams two texts share, each as often as both have it."""
    keys = np.concatenate((2 * ours, 2 * theirs + 1))
    keys.sort()
    starts = np.flatnonzero(np.diff(keys >> 1, prepend=-1))
    of_theirs = np.add.reduceat(keys & 1, starts)
    sizes = np.diff(starts, append=len(keys))
    return int(np.minimum(of_theirs, sizes - of_theirs).sum())

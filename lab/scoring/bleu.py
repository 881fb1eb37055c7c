"""Corpus BLEU-4 from per-row n-gram counts, equal to sacrebleu's `corpus_bleu` with its default settings.

Papineni et al., BLEU, ACL 2002; Post, A Call for Clarity in Reporting BLEU Scores, WMT 2018. sacrebleu gives the
tokenizer and the signature; counting and summing are ours, so that one pass serves the value and its intervals.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.scoring.answers import Answer
from lab.scoring.tokens import bleu_tokenizer

if TYPE_CHECKING:
    from lab.series.bootstrap import Floats

ORDER = 4


def statistics(answers: Sequence[Answer]) -> Floats:
    """Return (rows, 10): answer length, closest reference length, matched and total n-grams of orders 1 to 4."""
    tokenize = _scorer(answers).tokenizer
    table = np.empty((len(answers), 2 + 2 * ORDER))
    for row, answer in zip(table, answers, strict=True):
        row[:] = _row(tokenize, answer)
    return table


def aggregate(sums: Floats) -> Floats:
    """Return BLEU as a fraction, (..., 10) -> (...): brevity penalty times the geometric mean of the precisions.

    Exponential smoothing as sacrebleu does it: the n-th order without a match counts as 1 / 2^n of a match. Without
    any match, or without a single 4-gram in the answers, the value is 0.
    """
    length, reference = sums[..., 0], sums[..., 1]
    matched, total = sums[..., 2 : 2 + ORDER], sums[..., 2 + ORDER :]
    missed = matched == 0
    smoothed = np.where(missed, 0.5 ** np.cumsum(missed, axis=-1), matched)
    scored = matched.any(axis=-1) & (total > 0).all(axis=-1)
    precisions = np.log(smoothed) - np.log(np.where(total > 0, total, 1))
    penalty = np.minimum(0, 1 - reference / np.where(length > 0, length, 1))
    return np.where(scored, np.exp(penalty + precisions.mean(axis=-1)), 0.0)


def signature(answers: Sequence[Answer]) -> str:
    """Return sacrebleu's own signature for these references."""
    scorer = _scorer(answers)
    numbers = {len(answer.references) for answer in answers}
    scorer.num_refs = numbers.pop() if len(numbers) == 1 else -1  # -1: sacrebleu's mark for a varying number
    return str(scorer.get_signature())


def _scorer(answers: Sequence[Answer]) -> Any:
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(tokenize=bleu_tokenizer([text for answer in answers for text in answer.references]))


def _row(tokenize: Callable[[str], str], answer: Answer) -> list[int]:
    tokens = tokenize(answer.scored.rstrip()).split()
    references = [tokenize(text.rstrip()).split() for text in answer.references]
    closest = min((len(reference) for reference in references), key=lambda size: (abs(size - len(tokens)), size))
    matched = [_matched(tokens, references, order) for order in range(1, ORDER + 1)]
    total = [max(0, len(tokens) - order + 1) for order in range(1, ORDER + 1)]
    return [len(tokens), closest, *matched, *total]


def _matched(tokens: list[str], references: list[list[str]], order: int) -> int:
    """Count the answer's n-grams that a reference holds, each at most as often as the reference with the most of it."""
    wanted = _ngrams(references[0], order)
    for reference in references[1:]:
        wanted |= _ngrams(reference, order)
    given = _ngrams(tokens, order)
    return sum(min(given[gram], wanted[gram]) for gram in given.keys() & wanted.keys())


def _ngrams(tokens: list[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(tokens[start:] for start in range(order)), strict=False))

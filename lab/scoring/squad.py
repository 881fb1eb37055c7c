"""`exact_match` and `token_f1` as SQuAD defines them, best over references, mean over rows.

Rajpurkar et al., SQuAD, EMNLP 2016. Two things are added. Other scripts get tokens of their own (see `tokens`). And
SQuAD calls all texts equal of which normalisation leaves nothing ("A", "+"); here less is taken away from those.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lab.scoring.aggregates import column
from lab.scoring.answers import Answer
from lab.scoring.tokens import Tokenizer, row_tokenizer, squad_tokens

if TYPE_CHECKING:
    from lab.series.bootstrap import Floats

SIGNATURE = "norm:squad|refs:best|agg:mean|other-scripts:nfkc-chars-or-words|empty:0|version:1"


def exact_match(answers: Sequence[Answer]) -> Floats:
    """Return (rows, 2): one where the normalised answer equals a normalised reference; an empty one never does."""
    return column(_best(_same, answer) for answer in answers)


def token_f1(answers: Sequence[Answer]) -> Floats:
    """Return (rows, 2): F1 of the bags of normalised tokens against the best reference."""
    return column(_best(_overlap, answer) for answer in answers)


def signature(_: Sequence[Answer]) -> str:
    return SIGNATURE


def _best(compare: Callable[[list[str], list[str]], float], answer: Answer) -> float:
    text = answer.scored.strip()
    if not text:
        return 0.0
    tokenize = row_tokenizer(answer.references, squad_tokens)
    given = _tokens(text, tokenize)
    return max(compare(_tokens(reference, tokenize), given) for reference in answer.references)


def _tokens(text: str, tokenize: Tokenizer) -> list[str]:
    return tokenize(text) or text.lower().split()


def _same(wanted: list[str], given: list[str]) -> float:
    return float(wanted == given)


def _overlap(wanted: list[str], given: list[str]) -> float:
    shared = (Counter(wanted) & Counter(given)).total()
    return 2 * shared / (len(wanted) + len(given))

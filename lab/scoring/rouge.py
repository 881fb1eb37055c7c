"""ROUGE-1, -2, -L and -Lsum F1, equal to rouge-score without stemming wherever its tokenizer applies.

Lin, ROUGE: A Package for Automatic Evaluation of Summaries, 2004. The counting is ours, and held to rouge-score's by
the tests: its table of common subsequences, filled in Python, takes minutes over ten thousand answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from lab.scoring.aggregates import column
from lab.scoring.answers import Answer
from lab.scoring.lcs import lcs_indices, lcs_length
from lab.scoring.tokens import rouge_tokens, row_tokenizer

if TYPE_CHECKING:
    from lab.series.bootstrap import Floats

SIGNATURE = "measure:f1|stem:no|refs:best|agg:mean|as:rouge-score-0.1.2|other-scripts:nfkc-chars-or-words|version:1"

Lines = list[list[str]]  # the tokens of each line that is not empty
Measure = Callable[[Lines, Lines], float]


def table(answers: Sequence[Answer], names: Sequence[str]) -> list[Floats]:
    """Return for each of `names` every row's F1 against its best reference, (rows, 2); texts are cut once for all."""
    measures = [MEASURES[name] for name in names]
    scores = [_best(measures, answer) for answer in answers]
    return [column(own[at] for own in scores) for at in range(len(measures))]


def statistics(name: str) -> Callable[[Sequence[Answer]], Floats]:
    """Return the function that gives each row's F1 of one measure: (rows, 2)."""
    return lambda answers: table(answers, [name])[0]


def rouge_1(reference: Lines, answer: Lines) -> float:
    """Return the F1 of single tokens."""
    return _ngram_f1(Counter(_joined(reference)), Counter(_joined(answer)))


def rouge_2(reference: Lines, answer: Lines) -> float:
    """Return the F1 of pairs of neighbours; lines do not end a pair."""
    return _ngram_f1(Counter(pairwise(_joined(reference))), Counter(pairwise(_joined(answer))))


def rouge_l(reference: Lines, answer: Lines) -> float:
    """Return the F1 of the longest common subsequence of the whole texts."""
    wanted, given = _joined(reference), _joined(answer)
    return _f1(lcs_length(wanted, given), len(wanted), len(given))


def rouge_l_sum(reference: Lines, answer: Lines) -> float:
    """Return the F1 of the tokens that each reference line shares, in order, with any answer line (summary level).

    A token counts at most as often as the answer holds it, as in ROUGE 1.5.5.
    """
    if len(reference) == len(answer) == 1:
        return rouge_l(reference, answer)
    shared = Counter(line[index] for line in reference for index in _shared(line, answer))
    given = Counter(_joined(answer))
    return _f1((shared & given).total(), sum(map(len, reference)), given.total())


def signature(_: Sequence[Answer]) -> str:
    return SIGNATURE


MEASURES: dict[str, Measure] = {
    "rouge1": rouge_1,
    "rouge2": rouge_2,
    "rougeL": rouge_l,
    "rougeLsum": rouge_l_sum,
}


def _best(measures: Sequence[Measure], answer: Answer) -> list[float]:
    tokenize = row_tokenizer(answer.references, rouge_tokens)
    given = _lines(answer.scored, tokenize)
    wanted = [_lines(text, tokenize) for text in answer.references]
    return [max(measure(lines, given) for lines in wanted) for measure in measures]


def _lines(text: str, tokenize: Callable[[str], list[str]]) -> Lines:
    return [tokenize(line) for line in text.split("\n") if line]


def _joined(lines: Lines) -> list[str]:
    return [token for line in lines for token in line]


def _shared(line: list[str], answer: Lines) -> set[int]:
    words = set(line)
    related = (candidate for candidate in answer if not words.isdisjoint(candidate))
    return {index for candidate in related for index in lcs_indices(line, candidate)}


def _ngram_f1(wanted: Counter[Any], given: Counter[Any]) -> float:
    hits = sum(min(wanted[gram], given[gram]) for gram in wanted.keys() & given.keys())
    return _f1(hits, wanted.total(), given.total())


def _f1(hits: int, wanted: int, given: int) -> float:
    return 2 * hits / (wanted + given) if hits else 0.0

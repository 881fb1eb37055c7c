from __future__ import annotations

import random

import numpy as np
import pytest
import sacrebleu

from lab.scoring import chrf
from lab.scoring.answers import Answer
from lab.series.bootstrap import Sample, value, weights

MANY = "".join(chr(0x4E00 + number) for number in range(3000))


def _answers(pairs: list[tuple[str, list[str]]]) -> list[Answer]:
    return [Answer(str(number), tuple(refs), text, "stop") for number, (text, refs) in enumerate(pairs)]


def _ours(answers: list[Answer]) -> float:
    return value(Sample(chrf.statistics(answers), chrf.aggregate))


def _theirs(answers: list[Answer]) -> float:
    width = max(len(answer.references) for answer in answers)
    streams = [
        [answer.references[place] if place < len(answer.references) else None for answer in answers]
        for place in range(width)
    ]
    return float(sacrebleu.corpus_chrf([answer.scored for answer in answers], streams).score) / 100


def _random_pairs(seed: int, alphabet: str, references: int) -> list[tuple[str, list[str]]]:
    draw = random.Random(seed)
    pairs = []
    for _ in range(12):
        texts = ["".join(draw.choices(alphabet, k=draw.choice([0, 1, 3, 5, 6, 7, 40, 90]))) for _ in range(references)]
        kept = "".join(letter for letter in texts[0] if draw.random() < 0.8)
        pairs.append((kept, texts[: draw.randint(1, references)]))
    return pairs


# Two letters make many repeats; thousands of characters make n-grams too large for one number.
@pytest.mark.parametrize(
    "alphabet", ["ab ", "abcdefgh .", "日本語テ キスト", MANY], ids=["two", "latin", "cjk", "many"]
)
@pytest.mark.parametrize("references", [1, 3])
@pytest.mark.parametrize("seed", range(4))
def test_the_value_is_sacrebleus(alphabet: str, references: int, seed: int) -> None:
    answers = _answers(_random_pairs(seed, alphabet, references))
    assert _ours(answers) == pytest.approx(_theirs(answers), abs=1e-9)


def test_more_distinct_characters_than_fit_one_number_are_counted_exactly() -> None:
    answers = _answers([(MANY[100:2900] * 2, [MANY, MANY[::-1]])])
    assert _ours(answers) == pytest.approx(_theirs(answers), abs=1e-9)
    assert 0.5 < _ours(answers) < 1


@pytest.mark.parametrize(
    ("text", "references", "expected"),
    [
        ("the same", ["the same"], 1.0),
        ("thesame", ["the same"], 1.0),  # white space does not count
        ("", ["a reference"], 0.0),
        ("an answer", [""], 0.0),
        ("", [""], 0.0),
        ("abc", ["xyz"], 0.0),
        ("\ud800x", ["\ud800x"], 1.0),
    ],
)
def test_edges(text: str, references: list[str], expected: float) -> None:
    assert _ours(_answers([(text, references)])) == expected


def test_a_failed_answer_counts_as_empty() -> None:
    kept = [Answer("1", ("text",), "text", "stop"), Answer("2", ("text",), "text", "error")]
    emptied = [kept[0], Answer("2", ("text",), "", "stop")]
    assert _ours(kept) == _ours(emptied) < 1


def test_resamples_get_the_value_that_sacrebleu_gives_their_rows() -> None:
    answers = _answers(_random_pairs(9, "abcdefgh .", 2))
    drawn = np.concatenate(list(weights([""] * len(answers), 5, seed=0)))
    ours = chrf.aggregate(drawn @ chrf.statistics(answers))
    for row, found in zip(drawn, ours, strict=True):
        rows = [answer for answer, times in zip(answers, row.astype(int), strict=True) for _ in range(times)]
        assert found == pytest.approx(_theirs(rows), abs=1e-9)


@pytest.mark.parametrize(("references", "nrefs"), [([1, 1], "1"), ([1, 3], "var")])
def test_the_signature_is_sacrebleus_own(references: list[int], nrefs: str) -> None:
    answers = _answers([("a text", ["some reference"] * count) for count in references])
    expected = f"nrefs:{nrefs}|case:mixed|eff:yes|nc:6|nw:0|space:no|version:{sacrebleu.__version__}"
    assert chrf.signature(answers) == expected

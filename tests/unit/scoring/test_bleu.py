from __future__ import annotations

import random

import numpy as np
import pytest
import sacrebleu

from lab.scoring import bleu
from lab.scoring.answers import Answer
from lab.series.bootstrap import Sample, value, weights

WORDS = ["the", "a", "cat,", "dog", "sat", "on", "mat.", "3.5", "1,000", "U.S.-based", "&quot;x&quot;", "non-\nbreak"]


def _answers(pairs: list[tuple[str, list[str]]]) -> list[Answer]:
    return [Answer(str(number), tuple(refs), text, "stop") for number, (text, refs) in enumerate(pairs)]


def _ours(answers: list[Answer]) -> float:
    return value(Sample(bleu.statistics(answers), bleu.aggregate))


def _theirs(answers: list[Answer], tokenize: str = "13a") -> float:
    width = max(len(answer.references) for answer in answers)
    streams = [
        [answer.references[place] if place < len(answer.references) else None for answer in answers]
        for place in range(width)
    ]
    return float(sacrebleu.corpus_bleu([answer.text for answer in answers], streams, tokenize=tokenize).score) / 100


def _random_pairs(seed: int, references: int) -> list[tuple[str, list[str]]]:
    generator = random.Random(seed)
    pairs = []
    for _ in range(60):
        texts = [" ".join(generator.choices(WORDS, k=generator.randint(0, 25))) for _ in range(references)]
        kept = [word for word in texts[0].split(" ") if generator.random() < 0.8]
        pairs.append((" ".join(kept), texts[: generator.randint(1, references)]))
    return pairs


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("references", [1, 3])
def test_the_value_is_sacrebleus(seed: int, references: int) -> None:
    answers = _answers(_random_pairs(seed, references))
    assert _ours(answers) == pytest.approx(_theirs(answers), abs=1e-9)
    assert 0.1 < _ours(answers) < 0.99


@pytest.mark.parametrize(
    "pairs",
    [
        [("the cat sat on the mat", ["the cat sat on the mat"])],
        [("", ["the cat sat on the mat"])],
        [("the cat sat on the mat", [""])],
        [("", [""])],
        [("Yes", ["Yes"])],
        [("one two three", ["one two three"])],
        [("completely different words here now", ["the cat sat on the mat"])],
        [("the cat was quite there", ["the cat sat on the mat"])],
        [("the dog was on his mat yesterday", ["the cat sat on the mat"])],
        [("the the the the the the the", ["the cat sat on the mat", "the the end"])],
        [("a b c d e", ["a b c d e f g", "a b c"])],
        [("a b c d e", ["a b c d", "a b c d e f"])],
        [("...!!!", ["?!?!"])],
        [("line one\nline two here", ["line one line two here"])],
        [("trailing space matters not \n", ["trailing space matters not"])],
        [("", ["x y z"]), ("right on the first try", ["right on the first try"])],
    ],
)
def test_edges_are_sacrebleus_too(pairs: list[tuple[str, list[str]]]) -> None:
    answers = _answers(pairs)
    assert _ours(answers) == pytest.approx(_theirs(answers), abs=1e-9)


@pytest.mark.parametrize(
    ("reference", "answer", "tokenizer"),
    [
        ("我喜欢在北京学习中文。", "我喜欢在上海学习中文。", "zh"),
        ("私は東京で日本語を勉強しています。", "私は大阪で日本語を勉強しています。", "char"),
    ],
)
def test_scripts_without_spaces_are_scored(reference: str, answer: str, tokenizer: str) -> None:
    answers = _answers([(answer, [reference])])
    assert _ours(answers) == pytest.approx(_theirs(answers, tokenizer), abs=1e-9)
    assert 0.4 < _ours(answers) < 1
    assert f"|tok:{tokenizer}|" in bleu.signature(answers)


def test_resamples_get_the_value_that_sacrebleu_gives_their_rows() -> None:
    answers = _answers(_random_pairs(9, 2))[:25]
    drawn = np.concatenate(list(weights([""] * 25, 5, seed=0)))
    ours = bleu.aggregate(drawn @ bleu.statistics(answers))
    for row, found in zip(drawn, ours, strict=True):
        rows = [answer for answer, times in zip(answers, row.astype(int), strict=True) for _ in range(times)]
        assert found == pytest.approx(_theirs(rows), abs=1e-9)


def test_the_aggregate_takes_any_leading_axes() -> None:
    statistics = bleu.statistics(_answers(_random_pairs(1, 1)))
    whole = bleu.aggregate(statistics.sum(axis=0))
    assert whole.shape == ()
    assert bleu.aggregate(np.broadcast_to(statistics.sum(axis=0), (2, 3, 10))) == pytest.approx(np.full((2, 3), whole))


def test_a_failed_answer_counts_as_empty() -> None:
    text = "the cat sat on the mat"
    kept = [Answer("1", (text,), text, "stop"), Answer("2", (text,), text, "error")]
    emptied = [kept[0], Answer("2", (text,), "", "stop")]
    assert _ours(kept) == _ours(emptied) == pytest.approx(np.exp(1 - 2))


@pytest.mark.parametrize(("references", "nrefs"), [([1, 1], "1"), ([2, 2], "2"), ([1, 3], "var")])
def test_the_signature_is_sacrebleus_own(references: list[int], nrefs: str) -> None:
    answers = _answers([("a text", ["some reference"] * count) for count in references])
    expected = f"nrefs:{nrefs}|case:mixed|eff:no|tok:13a|smooth:exp|version:{sacrebleu.__version__}"
    assert bleu.signature(answers) == expected

from __future__ import annotations

import random

import pytest
from rouge_score.rouge_scorer import RougeScorer, lcs_ind

from lab.scoring.answers import Answer
from lab.scoring.lcs import lcs_indices, lcs_length
from lab.scoring.metrics import METRICS
from lab.series.bootstrap import value

NAMES = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
THEIRS = RougeScorer(NAMES)


def _ours(name: str, text: str, references: list[str], finish: str = "stop") -> float:
    return value(METRICS[name].sample([Answer("1", tuple(references), text, finish)]))


def _random_text(generator: random.Random, words: str) -> str:
    tokens = generator.choices(words, k=generator.randint(0, 30))
    return "".join(token + generator.choice([" ", " ", " ", "\n", ", ", "\n\n"]) for token in tokens)


# Few distinct words make many ties between subsequences, where only the same choice gives the same ROUGE-Lsum.
@pytest.mark.parametrize("words", ["ab", "abcd", "abcdefghijklmnop"])
@pytest.mark.parametrize("references", [1, 3])
def test_all_four_equal_rouge_score(words: str, references: int) -> None:
    generator = random.Random(len(words) + references)
    for _ in range(150):
        text = _random_text(generator, words)
        wanted = [_random_text(generator, words) for _ in range(references)]
        theirs = THEIRS.score_multi(wanted, text)
        for name in NAMES:
            assert _ours(name, text, wanted) == pytest.approx(theirs[name].fmeasure, abs=1e-9), (name, text, wanted)


@pytest.mark.parametrize(
    ("text", "references"),
    [
        ("", ["a reference"]),
        ("an answer", [""]),
        ("", [""]),
        ("...", ["?!"]),
        ("...", ["word"]),
        ("one", ["one"]),
        ("one\ntwo", ["two\none"]),
        ("one\n---\ntwo", ["two\n\n***\none"]),
        ("the cat the cat", ["the cat\nthe dog\nthe cat"]),
        ("Paris.", ["paris"]),
        ("café", ["cafe", "caf"]),
        ("The β subunit of 5 μm", ["the β-subunit, 5 μm wide"]),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_edges_equal_rouge_score(name: str, text: str, references: list[str]) -> None:
    assert _ours(name, text, references) == pytest.approx(THEIRS.score_multi(references, text)[name].fmeasure, abs=1e-9)


def test_swapped_lines_tell_l_and_lsum_apart() -> None:
    assert _ours("rougeL", "one two\nthree four", ["three four\none two"]) == 0.5
    assert _ours("rougeLsum", "one two\nthree four", ["three four\none two"]) == 1.0


@pytest.mark.parametrize(("name", "expected"), [("rouge1", 0.8), ("rouge2", 0.5), ("rougeL", 0.8), ("rougeLsum", 0.8)])
def test_chinese_is_scored_by_character_where_rouge_score_sees_nothing(name: str, expected: float) -> None:
    assert THEIRS.score("我在北京。", "我在东北京！")[name].fmeasure == 0
    assert _ours(name, "我在南京上", ["我在北京上"]) == pytest.approx(expected)
    assert _ours(name, "我在北京！", ["我在北京。"]) == 1.0


@pytest.mark.parametrize("name", NAMES)
def test_empty_and_failed_answers_score_zero(name: str) -> None:
    assert _ours(name, "", ["the reference"]) == 0
    assert _ours(name, "the reference", ["the reference"], finish="error") == 0


@pytest.mark.parametrize(
    ("reference", "candidate", "length", "indices"),
    [
        ("", "", 0, []),
        ("abc", "", 0, []),
        ("", "abc", 0, []),
        ("abc", "xyz", 0, []),
        ("abc", "abc", 3, [2, 1, 0]),
        ("abcde", "ace", 3, [4, 2, 0]),
        ("ab", "ba", 1, [0]),  # a tie: rouge-score walks back in the reference
        ("abab", "b", 1, [3]),
        ("abcabba", "cbabac", 4, [6, 5, 3, 1]),
    ],
)
def test_common_subsequences(reference: str, candidate: str, length: int, indices: list[int]) -> None:
    assert lcs_length(reference, candidate) == length
    assert lcs_indices(reference, candidate) == indices


def test_of_several_subsequences_it_is_the_one_that_rouge_score_takes() -> None:
    generator = random.Random(1)
    for _ in range(500):
        reference, candidate = ("".join(generator.choices("abc", k=generator.randint(0, 12))) for _ in range(2))
        assert lcs_indices(reference, candidate)[::-1] == lcs_ind(reference, candidate)


def test_long_texts_cross_machine_words() -> None:
    generator = random.Random(0)
    reference = generator.choices("abcdef", k=700)
    candidate = [token for token in reference if generator.random() < 0.5]
    assert lcs_length(reference, candidate) == len(candidate) == lcs_length(candidate, reference)

from __future__ import annotations

import numpy as np
import pytest

from lab.scoring.answers import Answer
from lab.scoring.labels import accuracy, label
from lab.scoring.metrics import METRICS
from lab.series.bootstrap import sums, value, weights


def _answers(pairs: list[tuple[str, str]]) -> list[Answer]:
    return [Answer(str(number), (wanted,), given, "stop") for number, (wanted, given) in enumerate(pairs)]


def _macro(pairs: list[tuple[str, str]]) -> float:
    return value(METRICS["macro_f1"].sample(_answers(pairs)))


def _by_definition(pairs: list[tuple[str, str]]) -> float:
    scores = []
    for name in {name for pair in pairs for name in pair}:
        hits = sum(wanted == given == name for wanted, given in pairs)
        misses = sum((wanted == name) != (given == name) for wanted, given in pairs)
        scores.append(2 * hits / (2 * hits + misses))
    return sum(scores) / len(scores)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Positive", "positive"),
        (" positive.\n", "positive"),
        ("**Positive**!", "positive"),
        ('"very  good"', "very good"),
        ("A", "a"),
        ("-1", "-1"),
        ("+", "+"),
        ("...", "..."),
        ("是。", "是"),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("", ""),
    ],
)
def test_labels(text: str, expected: str) -> None:
    assert label(text) == expected


def test_accuracy_takes_any_reference_and_never_an_empty_answer() -> None:
    answers = [
        Answer("1", ("yes", "maybe"), "Maybe.", "stop"),
        Answer("2", ("yes",), "no", "stop"),
        Answer("3", ("",), "", "stop"),
        Answer("4", ("yes",), "yes", "error"),
    ]
    assert accuracy(answers)[:, 0].tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([("a", "a"), ("b", "b")], 1),
        ([("a", "b"), ("b", "a")], 0),
        ([("a", "a"), ("a", "b"), ("b", "b")], 2 / 3),
        ([("a", "a"), ("b", "nonsense")], 1 / 3),  # a class that only a wrong answer names counts too
        ([("a", "a"), ("a", "")], 1 / 3),  # so does the class of empty answers: a 2/3, empty 0
        ([("", "")], 0),
    ],
)
def test_macro_f1(pairs: list[tuple[str, str]], expected: float) -> None:
    assert _macro(pairs) == pytest.approx(expected)


@pytest.mark.parametrize("classes", [2, 5, 40])
def test_macro_f1_equals_its_definition_on_every_resample(classes: int) -> None:
    generator = np.random.default_rng(classes)
    pairs = [(str(a), str(a if generator.random() < 0.6 else b)) for a, b in generator.integers(0, classes, (50, 2))]
    sample = METRICS["macro_f1"].sample(_answers(pairs))
    assert value(sample) == pytest.approx(_by_definition(pairs), abs=1e-12)
    drawn = next(weights([""] * 50, 20, seed=0))
    for row, found in zip(drawn, sample.aggregate(sums(sample.statistics, drawn)), strict=True):
        rows = [pair for pair, times in zip(pairs, row.astype(int), strict=True) for _ in range(times)]
        assert found == pytest.approx(_by_definition(rows), abs=1e-12)


def test_of_several_references_the_one_that_was_named_is_the_class() -> None:
    answers = [Answer("1", ("yes", "maybe"), "maybe", "stop"), Answer("2", ("yes", "maybe"), "no", "stop")]
    assert value(METRICS["macro_f1"].sample(answers)) == pytest.approx(1 / 3)  # maybe 1, yes 0, no 0

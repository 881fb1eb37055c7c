from __future__ import annotations

import pytest

from lab.scoring import squad
from lab.scoring.answers import Answer


def _score(text: str, references: list[str], finish: str = "stop") -> tuple[float, float]:
    answers = [Answer("1", tuple(references), text, finish)]
    return squad.exact_match(answers)[0, 0], squad.token_f1(answers)[0, 0]


@pytest.mark.parametrize(
    ("text", "references", "exact", "f1"),
    [
        ("Paris", ["Paris"], 1, 1),
        ("the Paris.", ["paris"], 1, 1),
        ("It is Paris", ["Paris"], 0, 0.5),  # precision 1/3, recall 1
        ("in the year 1066", ["1066", "year 1066"], 0, 0.8),  # the better reference: precision 2/3, recall 1
        ("Paris Paris", ["Paris"], 0, 2 / 3),  # a token counts as often as both have it
        ("London", ["Paris", "Rome"], 0, 0),
        ("“Paris”", ["Paris"], 0, 0),  # typographic quotes are no ASCII punctuation
        ("line one\nline two", ["line one line two"], 1, 1),
        ("", ["Paris"], 0, 0),
        ("", [""], 0, 0),  # an empty answer never scores
        (" \n", [""], 0, 0),
        ("Paris", [""], 0, 0),
        ("Paris", ["", "Paris"], 1, 1),
        ("+", ["-"], 0, 0),  # nothing left of both, yet not equal
        ("+", ["+"], 1, 1),
        ("A.", ["A"], 1, 1),
        ("a", ["An"], 0, 0),  # nothing but articles: they stay
        ("the", ["."], 0, 0),
        ("The", ["the the"], 0, 2 / 3),
        ("...", ["word"], 0, 0),
        ("北京。", ["北京"], 1, 1),
        ("在北京", ["北京"], 0, 0.8),
        ("ПРИВЕТ, мир", ["привет мир!"], 1, 1),
    ],
)
def test_squad_scores(text: str, references: list[str], exact: float, f1: float) -> None:
    assert _score(text, references) == (exact, pytest.approx(f1))


def test_a_failed_answer_scores_zero_whatever_it_left() -> None:
    assert _score("Paris", ["Paris"], finish="error") == (0, 0)


def test_each_row_counts_once() -> None:
    answers = [Answer("1", ("a cat",), "cat", "stop"), Answer("2", ("dog",), "bird", "stop")]
    assert squad.exact_match(answers).tolist() == [[1, 1], [0, 1]]

from __future__ import annotations

from typing import Any

import pytest

from lab.errors import DataError
from lab.scoring.answers import Answer, answers_from_rows, counts

ROW: dict[str, Any] = {
    "id": "7",
    "prompt": "?",
    "references": ["yes", "Yes"],
    "answer": "yes",
    "tokens": 2,
    "seconds": 0.5,
    "finish": "stop",
    "group": "g",
    "nll": 1.5,
    "nll_tokens": 2,
    "reference_bytes": 3,
    "of_tomorrow": {},
}


def test_a_line_is_read_and_what_scoring_does_not_use_is_ignored() -> None:
    assert answers_from_rows([ROW]) == [Answer("7", ("yes", "Yes"), "yes", "stop", "g", 1.5, 2, 3)]


def test_what_may_be_missing_is_absent_and_not_zero() -> None:
    bare = {key: ROW[key] for key in ("id", "references", "answer", "finish")}
    assert answers_from_rows([bare]) == [Answer("7", ("yes", "Yes"), "yes", "stop", "", None, None, None)]
    assert answers_from_rows([{**ROW, "nll": None, "group": None}])[0].nll is None


def test_infinite_likelihoods_come_back_from_their_strings() -> None:
    assert answers_from_rows([{**ROW, "nll": "inf"}])[0].nll == float("inf")


def test_texts_stay_raw() -> None:
    hostile = "\x1b[31mred\x1b[0m\r\n" + "x" * 5000
    assert answers_from_rows([{**ROW, "answer": hostile}])[0].text == hostile


@pytest.mark.parametrize("key", ["id", "references", "answer", "finish"])
def test_a_missing_key_is_refused_with_its_line(key: str) -> None:
    broken = {name: item for name, item in ROW.items() if name != key}
    with pytest.raises(DataError, match=f"Line 2 .*'{key}'"):
        answers_from_rows([{**ROW, "id": "other"}, broken])


@pytest.mark.parametrize(
    ("key", "bad"),
    [
        ("id", 7),
        ("references", "yes"),
        ("references", ["yes", None]),
        ("answer", None),
        ("answer", ["yes"]),
        ("finish", "eos"),
        ("group", 3),
        ("nll", "much"),
        ("nll", True),
        ("nll_tokens", 1.5),
        ("nll_tokens", -1),
        ("nll_tokens", True),
        ("reference_bytes", "3"),
    ],
)
def test_a_wrong_value_is_refused(key: str, bad: object) -> None:
    with pytest.raises(DataError, match=key):
        answers_from_rows([{**ROW, key: bad}])


def test_an_id_that_occurs_twice_is_refused_and_shown_clean() -> None:
    with pytest.raises(DataError, match=r"'evil' occurs twice .* line 2") as caught:
        answers_from_rows([{**ROW, "id": "\x1b]0;x\x07evil"}] * 2)
    assert "\x1b" not in str(caught.value)


def test_counts_tell_empty_failed_and_cut_apart() -> None:
    answers = [
        Answer("1", ("r",), "fine", "stop"),
        Answer("2", ("r",), " \n", "stop"),
        Answer("3", ("r",), "", "error"),
        Answer("4", ("r",), "half an ans", "error"),
        Answer("5", ("r",), "too lo", "length"),
        Answer("6", ("r",), "", "length"),
    ]
    assert counts(answers) == {"rows": 6, "empty": 2, "failed": 2, "cut": 2}
    assert counts([]) == {"rows": 0, "empty": 0, "failed": 0, "cut": 0}


def test_a_failed_answer_is_scored_as_nothing() -> None:
    assert Answer("1", ("r",), "half an ans", "error").scored == ""

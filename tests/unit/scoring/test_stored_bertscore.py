"""BERTScore without its model: what is stored is found by its texts, and nothing else is made up."""

from __future__ import annotations

import pytest

from lab.scoring.answers import Answer
from lab.scoring.bertscore import key_of, known, with_scores
from lab.scoring.score import score

REFERENCES = ("the weather is freezing",)


def _answer(text: str, finish: str = "stop") -> Answer:
    return Answer(text, REFERENCES, text, finish)


def _stored(**scores: float) -> dict[str, object]:
    return {"signature": "model:m|version:1", "scores": {key_of(k, REFERENCES): v for k, v in scores.items()}}


def test_scores_are_found_by_their_texts() -> None:
    answers = with_scores([_answer("cold"), _answer("warm")], _stored(cold=0.8, warm=0.4))
    found = score(answers, ["bertscore"], resamples=50)["metrics"]["bertscore"]
    assert found["value"] == pytest.approx(0.6)
    assert found["signature"] == "model:m|version:1"
    assert 0.4 <= found["low"] <= found["high"] <= 0.8


def test_another_answer_or_reference_has_another_key() -> None:
    assert len({key_of("a", ("b",)), key_of("b", ("a",)), key_of("a", ("b", "c")), key_of("a", ("b, c",))}) == 4


@pytest.mark.parametrize(
    ("text", "expected"), [("", 0.0), ("  \n", 0.0), (REFERENCES[0], 1.0), (REFERENCES[0].title(), None)]
)
def test_what_takes_no_model(text: str, expected: float | None) -> None:
    assert known(text, REFERENCES) == expected


def test_a_failed_answer_scores_nothing_whatever_it_left_behind() -> None:
    (answer,) = with_scores([_answer("cold", "error")], _stored(cold=0.8))
    assert answer.bertscore == 0.0


@pytest.mark.parametrize("stored", [None, {}, _stored(warm=0.4), {"scores": {key_of("cold", REFERENCES): "much"}}])
def test_what_is_not_stored_is_absent_with_its_reason(stored: dict[str, object] | None) -> None:
    found = score(with_scores([_answer("cold"), _answer("")], stored), ["bertscore"])
    assert found["metrics"] == {}
    assert "`lab eval`" in found["absent"]["bertscore"]


def test_a_row_without_reference_has_none() -> None:
    found = score([Answer("1", (), "text", "stop")], ["bertscore"])
    assert found["absent"] == {"bertscore": "no reference on 1 of 1 row"}

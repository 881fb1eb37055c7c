"""`lab bench scoring`: what it times adds up, and what is promised is held against the size it was promised for."""

from __future__ import annotations

import pytest

from lab.bench.scoring import FAMILIES, Figure, made_up_answers, measure
from lab.scoring.names import LIKELIHOOD, METRIC_NAMES
from lab.scoring.score import score


def test_every_lexical_metric_of_plain_text_is_timed() -> None:
    timed = [name for members in FAMILIES.values() for name in members]
    assert len(timed) == len(set(timed))
    assert set(timed) == set(METRIC_NAMES) - {*LIKELIHOOD, "json_match", "bertscore"}


def test_the_parts_are_the_whole() -> None:
    said: list[str] = []
    figures = measure(30, 20, said.append)
    *parts, whole = figures
    assert [figure.name for figure in parts] == [*FAMILIES, "1,000-fold intervals"]
    assert whole.name == "all"
    assert sum(figure.seconds for figure in parts) == pytest.approx(whole.seconds)
    assert all(figure.seconds >= 0 for figure in figures)
    assert said[0] == "scoring 30 answers of 20 words"


@pytest.mark.parametrize(("rows", "words", "target"), [(20, 120, 60.0), (20, 121, None)])
def test_the_promise_is_for_its_size(rows: int, words: int, target: float | None) -> None:
    assert measure(rows, words, lambda line: None)[-1].target == target


@pytest.mark.parametrize(("seconds", "target", "met"), [(59.0, 60.0, True), (61.0, 60.0, False), (1.0, None, None)])
def test_met(seconds: float, target: float | None, met: bool | None) -> None:
    assert Figure("all", seconds, target).as_json()["met"] is met


def test_the_answers_are_what_they_are_said_to_be() -> None:
    answers = made_up_answers(20, 120)
    assert answers == made_up_answers(20, 120)
    assert {len(answer.text.split()) for answer in answers} == {120}
    assert {len(answer.references[0].split()) for answer in answers} == {120}
    found = score(answers, ["token_f1", "bleu", "rougeLsum"], resamples=0)["metrics"]
    assert all(0.1 < record["value"] < 0.9 for record in found.values())

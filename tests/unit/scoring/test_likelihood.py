from __future__ import annotations

import math

import pytest

from lab.scoring.answers import Answer
from lab.scoring.metrics import METRICS
from lab.series.bootstrap import value


def _answer(nll: float | None, tokens: int | None, size: int | None = 10) -> Answer:
    return Answer("1", ("r",), "", "error", "", nll, tokens, size)


def test_perplexity_is_over_all_tokens_and_not_a_mean_over_rows() -> None:
    answers = [_answer(1.0, 1), _answer(4.0, 1)]
    assert value(METRICS["perplexity"].sample(answers)) == pytest.approx(math.exp(2.5))
    answers = [_answer(30.0, 10), _answer(1.0, 90)]
    assert value(METRICS["perplexity"].sample(answers)) == pytest.approx(math.exp(0.31))


def test_bits_per_byte_do_not_know_of_tokens() -> None:
    answers = [_answer(math.log(2) * 5, 3, 4), _answer(math.log(2) * 7, 300, 8)]
    assert value(METRICS["bits_per_byte"].sample(answers)) == pytest.approx(1.0)


@pytest.mark.parametrize("nll", [1e9, math.inf])
def test_a_diverged_model_has_infinite_perplexity(nll: float) -> None:
    assert value(METRICS["perplexity"].sample([_answer(nll, 1)])) == math.inf


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([_answer(1.0, 1)], None),
        ([], "there are no answers"),
        ([_answer(1.0, 1), _answer(None, 1), _answer(math.nan, 1)], "no measured nll and nll_tokens on 2 of 3 rows"),
        ([_answer(1.0, None)], "no measured nll and nll_tokens on 1 of 1 row"),
        ([_answer(0.0, 0)], "every row's nll_tokens is 0"),
    ],
)
def test_what_was_not_measured_is_absent(answers: list[Answer], reason: str | None) -> None:
    assert METRICS["perplexity"].missing(answers) == reason

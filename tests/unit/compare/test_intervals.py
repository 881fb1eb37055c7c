from __future__ import annotations

import numpy as np
import pytest

from lab.compare.intervals import differences, holm, mcnemar, paired_difference, same_rows
from lab.errors import DataError, UsageError
from lab.scoring.answers import Answer
from lab.series.bootstrap import Sample, interval


def _mean(values: list[float]) -> Sample:
    return Sample(np.array([(score, 1.0) for score in values]), lambda s: s[..., 0] / s[..., 1])


def _answers(texts: list[str], group: str = "", reference: str = "yes") -> list[Answer]:
    return [Answer(str(n), (reference,), text, "stop", group and f"{group}{n // 2}") for n, text in enumerate(texts)]


def test_a_run_does_not_differ_from_itself() -> None:
    sample = _mean(list(np.random.default_rng(0).random(50)))
    found = paired_difference(sample, sample, [""] * 50)
    assert (found.difference, found.low, found.high, found.p_value, found.rows) == (0, 0, 0, 1, 50)


def test_pairing_finds_a_small_steady_gain_that_separate_intervals_hide() -> None:
    generator = np.random.default_rng(1)
    base = generator.random(100)
    better = base + 0.02 + generator.normal(0, 0.02, 100)
    first, second, groups = _mean(list(better)), _mean(list(base)), [""] * 100
    found = paired_difference(first, second, groups, resamples=2000)
    assert found.difference == pytest.approx(0.02, abs=0.01)
    assert found.low is not None
    assert found.low > 0
    assert found.p_value == pytest.approx(2 / 2001)
    apart = interval(first, groups), interval(second, groups)
    assert apart[0] is not None
    assert apart[1] is not None
    assert apart[0][0] < apart[1][1]


def test_the_sign_follows_the_order_of_the_runs() -> None:
    one, other = _mean([1.0, 0.0, 1.0, 1.0]), _mean([0.0, 0.0, 1.0, 0.0])
    there, back = paired_difference(one, other, [""] * 4), paired_difference(other, one, [""] * 4)
    assert there.difference == -back.difference == 0.5
    assert there.low is not None
    assert back.high is not None
    assert there.low == -back.high
    assert there.p_value == back.p_value


def test_the_test_is_wrong_about_5_times_in_100_where_nothing_differs() -> None:
    generator = np.random.default_rng(7)
    small = 0
    for trial in range(300):
        noise = generator.normal(0, 1, (2, 60))
        found = paired_difference(_mean(list(noise[0])), _mean(list(noise[1])), [""] * 60, resamples=400, seed=trial)
        assert found.p_value is not None
        assert found.low is not None
        assert found.high is not None
        small += found.p_value < 0.05
        if found.p_value < 0.05:
            assert found.low > 0 or found.high < 0
    assert 0.02 <= small / 300 <= 0.09


def test_groups_take_away_certainty() -> None:
    gain = [score for score in [1.5, -1.0] * 6 for _ in range(20)]
    first, second = _mean(gain), _mean([0.0] * 240)
    alone = paired_difference(first, second, [""] * 240).p_value
    grouped = paired_difference(first, second, [str(n // 20) for n in range(240)]).p_value
    assert alone is not None
    assert grouped is not None
    assert alone < 0.01 < grouped


def test_one_unit_gives_a_difference_and_no_more() -> None:
    found = paired_difference(_mean([1.0, 1.0]), _mean([0.0, 1.0]), ["g", "g"])
    assert (found.difference, found.low, found.high, found.p_value) == (0.5, None, None, None)


@pytest.mark.parametrize(
    ("gained", "lost", "expected"),
    [
        (0, 0, 1.0),
        (1, 1, 1.0),
        (5, 5, 1.0),
        (1, 0, 1.0),
        (6, 0, 2 / 64),
        (0, 6, 2 / 64),
        (8, 2, 2 * (1 + 10 + 45) / 1024),
        (9, 1, 2 * (1 + 10) / 1024),
        (3000, 0, 0.0),  # 2 / 2**3000 is below the smallest float
    ],
)
def test_mcnemar_by_hand(gained: int, lost: int, expected: float) -> None:
    first = [True] * gained + [False] * lost + [True, False] * 10
    second = [False] * gained + [True] * lost + [True, False] * 10
    assert mcnemar(first, second) == pytest.approx(expected, rel=1e-12)


def test_mcnemar_wants_the_same_rows() -> None:
    with pytest.raises(ValueError, match="shorter"):
        mcnemar([True, False], [True])


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [
        ({}, {}),
        ({"a": 0.02}, {"a": 0.02}),
        # Four hypotheses, as the textbook has them: 4 x .005, 3 x .01, 2 x .03, 1 x .04 raised to the one before.
        ({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}, {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02}),
        ({"a": 0.5, "b": 0.9}, {"a": 1.0, "b": 1.0}),
        ({"a": 0.02, "b": 0.02}, {"a": 0.04, "b": 0.04}),
    ],
)
def test_holm(p_values: dict[str, float], expected: dict[str, float]) -> None:
    found = holm(p_values)
    assert found == pytest.approx(expected)
    assert list(found) == list(p_values)


def test_answers_are_paired_by_id_and_not_by_place() -> None:
    first = _answers(["yes", "no", "yes", "no"])
    assert same_rows(first, first[::-1]) == [3, 2, 1, 0]
    found = differences(first, first[::-1], ["exact_match", "token_f1"])
    assert {name: (entry.difference, entry.p_value) for name, entry in found.items()} == {
        "exact_match": (0, 1),
        "token_f1": (0, 1),
    }


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (_answers(["yes"] * 3), "share 3 rows, but hold 3 and 4"),
        (_answers(["yes"] * 4, reference="no"), "row '0' has another reference"),
        (_answers(["yes"] * 4, group="g"), "row '0' has another reference or group"),
        (_answers(["yes"] * 4) + _answers(["yes"]), "same row id twice"),
    ],
)
def test_other_rows_are_refused(second: list[Answer], message: str) -> None:
    with pytest.raises(DataError, match=message):
        differences(_answers(["yes"] * 4), second, ["exact_match"])


def test_right_or_wrong_metrics_get_mcnemar_unless_rows_are_grouped() -> None:
    better, worse = ["yes"] * 12, ["no"] * 8 + ["yes"] * 4
    found = differences(_answers(better), _answers(worse), ["exact_match", "token_f1", "perplexity"])
    assert list(found) == ["exact_match", "token_f1"]
    assert found["exact_match"].test == "exact McNemar"
    assert found["exact_match"].p_value == 2 / 2**8
    assert found["exact_match"].difference == pytest.approx(8 / 12)
    assert found["token_f1"].test == "paired bootstrap"
    grouped = differences(_answers(better, "g"), _answers(worse, "g"), ["exact_match"])
    assert grouped["exact_match"].test == "paired bootstrap"


def test_corpus_metrics_are_compared_too() -> None:
    reference = "the cat sat on the mat today"
    good = _answers([reference] * 6 + ["the cat sat on a mat"] * 6, reference=reference)
    bad = _answers(["a dog stood by the door today"] * 12, reference=reference)
    found = differences(good, bad, ["bleu", "macro_f1"], resamples=500)
    assert found["bleu"].low is not None
    assert found["bleu"].low > 0.3
    assert found["bleu"].p_value == pytest.approx(2 / 501)
    assert found["macro_f1"].difference == pytest.approx((2 * 6 / 18) / 2)


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(UsageError, match="no metric 'blue'"):
        differences(_answers(["yes"] * 2), _answers(["yes"] * 2), ["blue"])

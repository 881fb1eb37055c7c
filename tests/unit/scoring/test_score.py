from __future__ import annotations

import json

import pytest

from lab import jsonio
from lab.errors import UsageError
from lab.scoring.answers import Answer
from lab.scoring.names import METRIC_NAMES
from lab.scoring.score import score

REFERENCE = '{"product": "tv", "refund": true}'


def _answers(count: int = 12, group: str = "") -> list[Answer]:
    texts = [REFERENCE, '{"product": "tv", "refund": false}', "no JSON at all", ""]
    return [
        Answer(
            str(n),
            (REFERENCE,),
            texts[n % 4],
            "stop",
            group and f"{group}{n % 3}",
            2.0 + n,
            4,
            30,
            n % 4 / 4,
            "model|x",
        )
        for n in range(count)
    ]


def test_every_metric_has_value_interval_signature_and_rows_in_strict_json() -> None:
    found = score(_answers(), METRIC_NAMES, resamples=200)
    assert json.loads(jsonio.dumps(found)) == found
    assert list(found["metrics"]) == list(METRIC_NAMES)
    for entry in found["metrics"].values():
        assert set(entry) == {"value", "low", "high", "signature", "rows"}
        assert entry["low"] <= entry["value"] <= entry["high"]
        assert entry["rows"] == 12
        assert "|" in entry["signature"]
    assert found["counts"] == {"rows": 12, "empty": 3, "failed": 0, "cut": 0}
    assert found["metrics"]["json_match"]["value"] == 0.25
    assert found["json_fields"] == {"product": 0.5, "refund": 0.25}
    assert found["absent"] == {}


def test_the_same_seed_gives_the_same_file_and_metrics_do_not_disturb_each_other() -> None:
    whole = score(_answers(), ["rouge", "token_f1"], seed=3)
    assert score(_answers(), ["rouge", "token_f1"], seed=3) == whole
    assert score(_answers(), ["token_f1"], seed=3)["metrics"]["token_f1"] == whole["metrics"]["token_f1"]


def test_what_cannot_be_computed_is_absent_with_its_reason() -> None:
    answers = [Answer("1", ("plain",), "plain", "stop"), Answer("2", ("text",), "", "stop")]
    found = score(answers, ["exact_match", "json_match", "perplexity"])
    assert list(found["metrics"]) == ["exact_match"]
    assert found["absent"] == {
        "json_match": "no reference that is JSON on 2 of 2 rows",
        "perplexity": "no measured nll and nll_tokens on 2 of 2 rows",
    }
    assert found["json_fields"] == {}


def test_rows_without_references_have_likelihoods_at_most() -> None:
    found = score([Answer("1", (), "an answer", "stop")], ["bleu", "rouge1", "accuracy"])
    assert found["metrics"] == {}
    assert set(found["absent"].values()) == {"no reference on 1 of 1 row"}


def test_no_answers_have_no_metrics() -> None:
    found = score([], METRIC_NAMES)
    assert found["rows"] == 0
    assert found["metrics"] == {}
    assert set(found["absent"]) == set(METRIC_NAMES)


@pytest.mark.parametrize(("group", "expected"), [("", ("rows", 12)), ("g", ("groups", 3))])
def test_the_units_of_the_interval_are_named(group: str, expected: tuple[str, int]) -> None:
    found = score(_answers(group=group), ["token_f1"])["interval"]
    assert (found["units"], found["unit_count"]) == expected


def test_one_row_has_a_value_but_no_interval() -> None:
    entry = score(_answers(1), ["exact_match"])["metrics"]["exact_match"]
    assert (entry["value"], entry["low"], entry["high"]) == (1.0, None, None)


def test_empty_and_failed_answers_pull_the_mean_down() -> None:
    answers = [
        Answer("1", ("yes",), "yes", "stop"),
        Answer("2", ("yes",), "", "stop"),
        Answer("3", ("yes",), "yes", "error"),
    ]
    assert score(answers, ["exact_match"])["metrics"]["exact_match"]["value"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(("reference", "noted"), [("yes", True), ("a reference of six tokens here", False)])
def test_bleu_over_short_references_gets_a_note(reference: str, noted: bool) -> None:
    assert ("bleu" in score([Answer("1", (reference,), "yes", "stop")], ["bleu"])["notes"]) == noted


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(UsageError, match="Did you mean 'bleu'"):
        score(_answers(), ["blue"])

from __future__ import annotations

import pytest

from lab.scoring.answers import Answer
from lab.scoring.json_match import is_json, json_field_accuracy, json_match


def _match(text: str, *references: str, finish: str = "stop") -> float:
    return float(json_match([Answer("1", references, text, finish)])[0, 0])


@pytest.mark.parametrize(
    ("text", "reference", "expected"),
    [
        ('{"a": 1}', '{"a": 1}', 1),
        (' \n{ "b":2,\n"a":1 }\n', '{"a": 1, "b": 2}', 1),
        ('{"a": 1.0}', '{"a": 1}', 1),
        ('{"a": true}', '{"a": 1}', 0),
        ('{"a": "1"}', '{"a": 1}', 0),
        ('{"a": null}', "{}", 0),
        ('{"a": 1, "b": 2}', '{"a": 1}', 0),
        ("[1, 2]", "[2, 1]", 0),
        ("[]", "{}", 0),
        ('[["a", 1]]', '{"a": 1}', 0),
        ('["bool", true]', '["bool", "True"]', 0),
        ("null", "null", 1),
        ('```json\n{"a": 1}\n```', '{"a": 1}', 1),
        ('```\n{"a": 1}```', '{"a": 1}', 1),
        ('```python\n{"a": 1}\n```', '{"a": 1}', 0),
        ('Sure! {"a": 1}', '{"a": 1}', 0),
        ('{"a": 1} and more', '{"a": 1}', 0),
        ('{"a": 1', '{"a": 1}', 0),
        ("{'a': 1}", '{"a": 1}', 0),
        ('{"a": NaN}', '{"a": NaN}', 0),
        ("", '{"a": 1}', 0),
        ("```", '{"a": 1}', 0),
        ("```json\n```", '{"a": 1}', 0),
        ('{"städte": "北京"}', '{"städte": "\\u5317\\u4eac"}', 1),
    ],
)
def test_parsed_equality(text: str, reference: str, expected: float) -> None:
    assert _match(text, reference) == expected


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 200_000, "9" * 10_000, "[" * 900 + "]" * 900 + "x"])
def test_hostile_answers_score_zero(text: str) -> None:
    assert _match(text, '{"a": 1}') == 0
    assert not is_json(text)


def test_any_reference_will_do_and_broken_ones_match_nothing() -> None:
    assert _match('{"a": 2}', '{"a": 1}', '{"a": 2}') == 1
    assert _match("not json", "not json") == 0


def test_a_failed_answer_scores_zero() -> None:
    assert _match('{"a": 1}', '{"a": 1}', finish="error") == 0


def _answer(text: str, *references: str) -> Answer:
    return Answer(text + "".join(references), references, text, "stop")


def test_fields_count_over_the_rows_whose_reference_has_them() -> None:
    answers = [
        _answer('{"product": "tv", "refund": true}', '{"product": "tv", "refund": true}'),
        _answer('{"product": "tv", "refund": 1}', '{"product": "radio", "refund": true}'),
        _answer("broken", '{"product": "tv", "refund": false}'),
        _answer('{"note": "x", "product": "tv"}', '{"note": "x", "product": "tv"}'),
    ]
    assert json_field_accuracy(answers) == {"note": 1.0, "product": 0.5, "refund": pytest.approx(1 / 3)}


def test_a_field_is_right_when_any_reference_says_so_and_missing_is_not_null() -> None:
    assert json_field_accuracy([_answer('{"a": 2}', '{"a": 1}', '{"a": 2}')]) == {"a": 1.0}
    assert json_field_accuracy([_answer("{}", '{"a": null}')]) == {"a": 0.0}
    assert json_field_accuracy([_answer("[1]", "[1]")]) == {}


def test_field_names_come_out_clean() -> None:
    assert list(json_field_accuracy([_answer("{}", '{"\\u001b]0;x\\u0007a\\nb": 1}')])) == ["a b"]

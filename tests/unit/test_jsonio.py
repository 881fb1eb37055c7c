"""JSON that any parser reads: no bare NaN, one line, UTF-8."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from lab.jsonio import as_float, dumps


def strict(text: str) -> Any:
    def refuse(name: str) -> None:
        raise AssertionError(f"bare {name}")

    return json.loads(text, parse_constant=refuse)


def test_floats_that_json_cannot_hold_become_strings_at_any_depth() -> None:
    value = {"a": math.nan, "b": [math.inf, (-math.inf, 1.5)], 3: {"c": math.nan}}
    assert strict(dumps(value)) == {"a": "nan", "b": ["inf", ["-inf", 1.5]], "3": {"c": "nan"}}


def test_text_stays_readable_on_one_line() -> None:
    assert dumps({"text": "é\n日本"}) == '{"text": "é\\n日本"}'
    assert "\n" in dumps({"a": 1}, indent=1)


@pytest.mark.parametrize("value", [math.inf, -math.inf, 0.1, -3.0])
def test_floats_come_back(value: float) -> None:
    assert as_float(json.loads(dumps(value))) == value


def test_nan_comes_back() -> None:
    found = as_float(json.loads(dumps(math.nan)))
    assert math.isnan(found or 0.0)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_whole_number_beyond_all_floats_is_infinite(sign: int) -> None:
    assert as_float(json.loads(f"{'-' * (sign < 0)}1{'0' * 400}")) == sign * math.inf


@pytest.mark.parametrize("value", [None, True, False, "1.5", "NaN", [], {}, "Infinity"])
def test_what_is_no_number_is_none(value: Any) -> None:
    assert as_float(value) is None

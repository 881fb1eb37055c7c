from __future__ import annotations

from typing import Any

import pytest

from lab.data.columns import columns_of, fields_of, pick_format
from lab.errors import DataError
from lab.profile.schema import Source

DETECTED: dict[str, tuple[list[str], dict[str, str], tuple[str, str]]] = {
    "alpaca": (["instruction", "input", "output"], {}, ("alpaca", "columns instruction, output, input")),
    "alpaca among others": (["text", "output", "instruction"], {}, ("alpaca", "columns instruction, output")),
    "messages": (["prompt", "prompt_id", "messages"], {}, ("messages", "columns messages")),
    "sharegpt": (["conversations", "answer_id"], {}, ("sharegpt", "columns conversations")),
    "prompt-completion": (["prompt", "completion"], {}, ("prompt-completion", "columns prompt, completion")),
    "mapped": (
        ["question", "answer"],
        {"prompt": "question", "completion": "answer"},
        ("prompt-completion", "columns prompt, completion"),
    ),
}


@pytest.mark.parametrize("case", DETECTED)
def test_auto_looks_at_the_columns_and_says_so(case: str) -> None:
    present, mapping, expected = DETECTED[case]
    assert pick_format(0, Source(name="s", columns=mapping), present) == expected


def test_a_named_format_is_taken_as_it_is() -> None:
    source = Source(name="s", format="alpaca", columns={"output": "answer"})
    assert pick_format(0, source, ["instruction", "answer"]) == ("alpaca", "the profile")


REFUSED: dict[str, tuple[dict[str, Any], list[str], str, str]] = {
    "missing column": (
        {"format": "alpaca"},
        ["instruction", "outputs"],
        "s has no column 'output'; it has instruction, outputs. Did you mean 'outputs'?",
        'data.source.2.columns to the data\'s names, for example {output = "..."}',
    ),
    "mapped to nothing": (
        {"columns": {"output": "anwser"}},
        ["instruction", "answer"],
        "s has no column 'anwser'; it has instruction, answer. Did you mean 'answer'?",
        "data.source.2.columns",
    ),
    "unknown format column": (
        {"format": "alpaca", "columns": {"outptu": "answer"}},
        ["instruction", "output", "answer"],
        "data.source.2.columns names 'outptu', which is no column of the format. Did you mean 'output'?",
        "the format has: instruction, output, input, system, id",
    ),
    "unknown column beside a detected format": (
        {"columns": {"promt": "extra"}},
        ["prompt", "completion", "extra"],
        "data.source.2.columns names 'promt'",
        "the format has: prompt, completion",
    ),
    "no format": (
        {},
        ["Question", "Outputs"],
        "The columns of s (Question, Outputs) fit no format (messages: messages; sharegpt: conversations;",
        "data.source.2.format and map the columns: data.source.2.columns",
    ),
    "nearly a format": ({}, ["Instruction", "Output"], "Did you mean 'instruction'?", "data.source.2.format"),
    "one right, one nearly": ({}, ["instruction", "ouput"], "Did you mean 'output'?", "data.source.2.format"),
    "poison": ({"format": "alpaca"}, ["\x1b[31minstruction"], "it has instruction", "data.source.2.columns"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_columns_that_do_not_fit(case: str) -> None:
    values, present, problem, remedy = REFUSED[case]
    with pytest.raises(DataError) as error:
        pick_format(2, Source(name="s", **values), present)
    assert problem in error.value.problem
    assert remedy in error.value.remedy


def test_columns_are_those_of_all_rows_in_order() -> None:
    assert columns_of([{"a": 1}, "no row", {"b": 1, "a": 2}]) == ["a", "b"]


def test_fields_are_renamed_and_others_stay() -> None:
    assert fields_of({"q": 1, "x": 2}, {"prompt": "q"})["prompt"] == 1
    assert fields_of({"q": 1, "x": 2}, {"prompt": "q"})["x"] == 2
    assert fields_of({"x": 2}, {"prompt": "q"})["prompt"] is None

"""Raw rows as they are found in the wild, and the conversations that they become."""

from __future__ import annotations

from typing import Any

import pytest

from lab.data.fields import FormatError, kind
from lab.data.formats import FORMATS
from lab.data.rows import Message

S, U, A = "system", "user", "assistant"
READ: dict[str, tuple[str, dict[str, Any], list[tuple[str, str]]]] = {
    "alpaca": (
        "alpaca",
        {"instruction": "Add.", "input": "1 + 1", "output": "2"},
        [(U, "Add.\n\n1 + 1"), (A, "2")],
    ),
    "alpaca without input": ("alpaca", {"instruction": "Hi", "output": "Ho"}, [(U, "Hi"), (A, "Ho")]),
    "alpaca with blank input": ("alpaca", {"instruction": "Hi", "input": " ", "output": "Ho"}, [(U, "Hi"), (A, "Ho")]),
    "alpaca with null input": ("alpaca", {"instruction": "Hi", "input": None, "output": "Ho"}, [(U, "Hi"), (A, "Ho")]),
    "alpaca with system": (
        "alpaca",
        {"instruction": "Hi", "output": "Ho", "system": "Be kind."},
        [(S, "Be kind."), (U, "Hi"), (A, "Ho")],
    ),
    "messages": (
        "messages",
        {"messages": [{"role": S, "content": "s"}, {"role": U, "content": "a"}, {"role": A, "content": "b"}]},
        [(S, "s"), (U, "a"), (A, "b")],
    ),
    "its own system message wins": (
        "messages",
        {"system": "other", "messages": [{"role": S, "content": "s"}, {"role": A, "content": "b"}]},
        [(S, "s"), (A, "b")],
    ),
    "sharegpt": (
        "sharegpt",
        {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
        [(U, "a"), (A, "b")],
    ),
    "sharegpt in the other spelling": (
        "sharegpt",
        {"conversations": [{"role": "User", "content": "a"}, {"role": "assistant", "content": "b"}]},
        [(U, "a"), (A, "b")],
    ),
    "sharegpt with system": (
        "sharegpt",
        {"system": "s", "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
        [(S, "s"), (U, "a"), (A, "b")],
    ),
    "prompt-completion": ("prompt-completion", {"prompt": "a", "completion": "b"}, [(U, "a"), (A, "b")]),
    "prompt-completion in messages": (
        "prompt-completion",
        {"prompt": [{"role": U, "content": "a"}], "completion": [{"role": A, "content": "b"}]},
        [(U, "a"), (A, "b")],
    ),
    "line breaks stay": (
        "prompt-completion",
        {"prompt": "a\r\nb\rc\n\td", "completion": "b"},
        [(U, "a\nb\nc\n\td"), (A, "b")],
    ),
    "poison": (
        "prompt-completion",
        {"prompt": "\x1b[31mred\x1b[0m \x1b]52;c;aGk=\x07[bold]x[/bold]", "completion": "b\x00\u202eevil\x9b2J"},
        [(U, "red [bold]x[/bold]"), (A, "bevil")],
    ),
    "long lines stay whole": (
        "prompt-completion",
        {"prompt": "a", "completion": "x" * 50_000},
        [(U, "a"), (A, "x" * 50_000)],
    ),
}

REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "number": ("alpaca", {"instruction": "a", "output": 5}, "'output' is a number, not text"),
    "truth": ("alpaca", {"instruction": "a", "output": True}, "'output' is true or false, not text"),
    "missing": ("alpaca", {"instruction": "a"}, "'output' is missing, not text"),
    "list as text": ("alpaca", {"instruction": ["a"], "output": "b"}, "'instruction' is a list, not text"),
    "object as input": ("alpaca", {"instruction": "a", "input": {}, "output": "b"}, "'input' is an object, not text"),
    "text as list": ("messages", {"messages": "hello"}, "'messages' is text, not a list of messages"),
    "texts as messages": ("messages", {"messages": ["hello"]}, "'messages' holds text where a message should be"),
    "role": ("messages", {"messages": [{"role": "\x1b[1mtool", "content": "a"}]}, "a turn by 'tool', who is unknown"),
    "no role": ("sharegpt", {"conversations": [{"value": "a"}]}, "a turn by 'None', who is unknown"),
    "content": ("messages", {"messages": [{"role": U, "content": [1]}]}, "the user's turn is a list, not text"),
}


@pytest.mark.parametrize("case", READ)
def test_rows_become_conversations(case: str) -> None:
    name, raw, expected = READ[case]
    assert FORMATS[name].read(raw).messages == [Message(role, content) for role, content in expected]


@pytest.mark.parametrize("case", REFUSED)
def test_rows_that_break_the_promise(case: str) -> None:
    name, raw, words = REFUSED[case]
    with pytest.raises(FormatError, match=words):
        FORMATS[name].read(raw)


def test_other_types_go_by_their_own_name() -> None:
    assert kind(b"x") == "a bytes"

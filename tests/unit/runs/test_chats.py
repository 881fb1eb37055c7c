"""A conversation as each model knows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.runs.chats import Conversation
from lab.runs.paths import RunPaths

TURNS = [("system", "s"), ("user", "a"), ("tuned", "A"), ("user", "b"), ("tuned", "B"), ("base", "b!"), ("user", "c")]


@pytest.mark.parametrize(
    ("turns", "who", "known"),
    [
        (TURNS, "tuned", "sabABc"),
        (TURNS, "base", "sbc!"),
        ([*TURNS, ("tuned", "C")], "base", "sbc!"),
        ([("user", "a"), ("user", "b")], "tuned", "b"),
        ([("system", "s"), ("user", "a")], "base", "sa"),
    ],
)
def test_a_model_knows_its_own_answers_and_what_it_was_asked(
    tmp_path: Path, turns: list[tuple[str, str]], who: str, known: str
) -> None:
    one = Conversation(RunPaths(tmp_path))
    for turn in turns:
        one.add(*turn)
    messages = Conversation(RunPaths(tmp_path), one.name).messages(who)
    assert sorted("".join(message["content"] for message in messages).replace("b!", "!")) == sorted(known)
    roles = [message["role"] for message in messages if message["role"] != "system"]
    assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"] * (len(roles) % 2), "they alternate"

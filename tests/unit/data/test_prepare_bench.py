"""The benchmark of preparation: both sides make the same tokens and labels, and it says so if they do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.bench import prepare
from lab.bench.prepare import compare, make_chats


def test_both_sides_make_the_same(chatml: Any, tmp_path: Path) -> None:
    said: list[str] = []
    found = compare(make_chats(40), chatml, tmp_path, 2, said.append)
    assert found.same
    assert (found.chats, len(found.lab_seconds), len(found.trl_seconds), len(said)) == (40, 2, 2, 2)
    assert found.tokens > 40 * 50
    assert found.met == (found.ratio <= 0.5)
    assert found.as_json()["same"] is True


def test_other_labels_are_noticed(chatml: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = prepare.TRAINING_TEMPLATE.replace(
        "+ '<|im_end|>' }}{% endgeneration %}{{ '\n'", "}}{% endgeneration %}{{ '<|im_end|>\n'"
    )
    assert other != prepare.TRAINING_TEMPLATE
    monkeypatch.setattr(prepare, "TRAINING_TEMPLATE", other)
    assert not compare(make_chats(12), chatml, tmp_path, 1, lambda line: None).same


def test_chats_are_the_same_each_time_and_of_many_lengths() -> None:
    chats = make_chats(200)
    assert chats == make_chats(200)
    assert {len(chat) for chat in chats} >= {2, 3, 4, 5, 6, 8}
    words = [sum(len(message["content"].split()) for message in chat) for chat in chats]
    assert 90 < sum(words) / len(words) < 220
    assert max(words) > 4 * min(words)

from __future__ import annotations

from typing import Any

import pytest

from lab.data.rows import exchange_hash, split_hash


def test_split_hash_is_of_ids_and_contents_in_any_order(row: Any) -> None:
    rows = [row("a", "b", id="1"), row("c", "d", id="2")]
    assert split_hash(rows) == split_hash(rows[::-1])
    assert split_hash(rows) == split_hash([row("a", "b", id="1", source="elsewhere"), rows[1]])
    assert len(split_hash(rows)) == 64


@pytest.mark.parametrize(
    "other",
    [
        [("a", "b", "1")],
        [("a", "b", "1"), ("c", "D", "2")],
        [("a", "b", "1"), ("c", "d", "3")],
        [("a", "b", "1"), ("c", "d", "2"), ("c", "d", "2")],
    ],
)
def test_split_hash_tells_other_rows_apart(other: list[tuple[str, str, str]], row: Any) -> None:
    rows = [row("a", "b", id="1"), row("c", "d", id="2")]
    assert split_hash(rows) != split_hash([row(asked, said, id=name) for asked, said, name in other])


def test_exchange_hash_ignores_id_and_system_message(row: Any) -> None:
    plain = row("a", "b", id="1")
    assert exchange_hash(plain) == exchange_hash(row(("system", "s"), ("user", "a"), ("assistant", "b"), id="2"))
    assert exchange_hash(plain) != exchange_hash(row("a", "c", id="1"))
    assert exchange_hash(plain) != exchange_hash(row(("user", "a"), ("user", "b")))


def test_chat_puts_the_system_prompt_first_unless_there_is_one(row: Any) -> None:
    assert row("a", "b").chat("s")[0] == {"role": "system", "content": "s"}
    assert row(("system", "own"), ("user", "a")).chat("s")[0] == {"role": "system", "content": "own"}
    assert [message["role"] for message in row("a", "b").chat()] == ["user", "assistant"]

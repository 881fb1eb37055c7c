"""A row of data: one conversation. Made by `read`, drawn by `splits`, encoded by `masks`, answered by evaluation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from lab.text import sanitize

SPLITS = ("train", "validation", "test")

GROUP_LIMIT = 64
"""Characters that the name of a group may have."""


@dataclass(frozen=True)
class Message:
    """One turn; `role` is "system", "user" or "assistant"."""

    role: str
    content: str


@dataclass(frozen=True)
class Row:
    """A conversation that ends with an assistant turn, or a plain text.

    `id` is unique within a run. Rows that share a non-empty `group` are not independent of each other. `source` is
    the unique label of the data source.

    Attributes:
        alternatives: answers that are as right as the last assistant turn; never trained on.
        plain: the contents make a text by themselves, which no chat template touches.
    """

    id: str
    messages: tuple[Message, ...]
    group: str
    source: str
    alternatives: tuple[str, ...] = ()
    plain: bool = False

    @property
    def reference(self) -> str:
        """The last assistant turn: the answer that is learned, and whose likelihood is measured."""
        return self.messages[-1].content

    @property
    def references(self) -> tuple[str, ...]:
        """Every right answer, `reference` first: what an answer is held against."""
        return (self.reference, *self.alternatives)

    def chat(self, system_prompt: str = "") -> list[dict[str, str]]:
        """Return the messages as chat templates take them; `system_prompt` precedes rows without a system message."""
        chat = [{"role": message.role, "content": message.content} for message in self.messages]
        if system_prompt and chat[0]["role"] != "system":
            chat.insert(0, {"role": "system", "content": system_prompt})
        return chat


def halved(row: Row) -> Row:
    """Return a plain text as a question: its first half, up to a word's end, and the rest as the answer."""
    text = "".join(message.content for message in row.messages)
    middle = (len(text) + 1) // 2
    cut = next((place for place in range(middle, len(text)) if text[place].isspace()), middle)
    return replace(row, messages=(Message("user", text[:cut]), Message("assistant", text[cut:])))


def exchange_hash(row: Row) -> str:
    """Return a sha256 over what user and assistant say: rows that differ only in id or system message share it."""
    said = [[message.role, message.content] for message in row.messages if message.role != "system"]
    return _sha256(json.dumps(said, ensure_ascii=False))


def split_hash(rows: Iterable[Row]) -> str:
    """Return a sha256 over the ids and contents of `rows`, whatever their order."""
    return _sha256("\n".join(sorted(json.dumps(_content(row), ensure_ascii=False) for row in rows)))


def _content(row: Row) -> list[Any]:
    return [row.id, row.chat(), *([list(row.alternatives)] if row.alternatives else [])]


def group_name(value: object) -> str:
    """Return the group that a field's value stands for; a long one goes by its hash."""
    text = sanitize(str(value), newlines=False)
    return text if len(text) <= GROUP_LIMIT and text == str(value) else _sha256(str(value))[:16]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()

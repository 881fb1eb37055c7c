"""A row of data: one conversation. Made by `read`, drawn by `splits`, encoded by `masks`, answered by evaluation."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from lab import jsonio

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Message:
    """One turn; `role` is "system", "user" or "assistant"."""

    role: str
    content: str


@dataclass(frozen=True)
class Row:
    """A conversation that ends with an assistant turn.

    `id` is unique within a run. Rows that share a non-empty `group` are not independent of each other. `source` is
    the unique label of the data source.
    """

    id: str
    messages: tuple[Message, ...]
    group: str
    source: str

    @property
    def reference(self) -> str:
        """The last assistant turn: what an answer is held against."""
        return self.messages[-1].content

    def chat(self, system_prompt: str = "") -> list[dict[str, str]]:
        """Return the messages as chat templates take them; `system_prompt` precedes rows without a system message."""
        chat = [{"role": message.role, "content": message.content} for message in self.messages]
        if system_prompt and chat[0]["role"] != "system":
            chat.insert(0, {"role": "system", "content": system_prompt})
        return chat


def exchange_hash(row: Row) -> str:
    """Return a sha256 over what user and assistant say: rows that differ only in id or system message share it."""
    said = [[message.role, message.content] for message in row.messages if message.role != "system"]
    return _sha256(jsonio.dumps(said))


def split_hash(rows: Iterable[Row]) -> str:
    """Return a sha256 over the ids and contents of `rows`, whatever their order."""
    return _sha256("\n".join(sorted(jsonio.dumps([row.id, row.chat()]) for row in rows)))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()

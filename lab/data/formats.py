"""From a raw row to a conversation: one reader a format. Called by `read`; everything that enters is sanitised here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lab.data.rows import Message
from lab.text import sanitize

NO_LIMIT = 1 << 40
"""Characters a line: rows of data are never cut."""

ROLES = {
    "system": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
}

Fields = Mapping[str, Any]


class FormatError(ValueError):
    """A raw row does not hold what its format promises; the text says what, for the data report."""


@dataclass(frozen=True)
class Format:
    """The columns that a format needs and may have, and the function that reads them.

    `read` raises FormatError where a row breaks the promise.
    """

    required: tuple[str, ...]
    optional: tuple[str, ...]
    read: Callable[[Fields], list[Message]]

    @property
    def columns(self) -> tuple[str, ...]:
        return self.required + self.optional


def clean(text: str) -> str:
    """Return `text` safe for terminals: a carriage return counts as a line break, and no line is too long."""
    return sanitize(text.replace("\r\n", "\n").replace("\r", "\n"), limit=NO_LIMIT)


def _alpaca(fields: Fields) -> list[Message]:
    parts = [_text(fields, "instruction"), _optional(fields, "input")]
    asked = "\n\n".join(part for part in parts if part.strip())
    return _with_system(fields, [Message("user", asked), Message("assistant", _text(fields, "output"))])


def _messages(fields: Fields) -> list[Message]:
    return _with_system(fields, _chat(fields, "messages"))


def _sharegpt(fields: Fields) -> list[Message]:
    return _with_system(fields, _chat(fields, "conversations"))


def _prompt_completion(fields: Fields) -> list[Message]:
    return _with_system(fields, _turns(fields, "prompt", "user") + _turns(fields, "completion", "assistant"))


FORMATS: dict[str, Format] = {  # in the order in which `detect` tries them
    "messages": Format(("messages",), ("system",), _messages),
    "sharegpt": Format(("conversations",), ("system",), _sharegpt),
    "alpaca": Format(("instruction", "output"), ("input", "system"), _alpaca),
    "prompt-completion": Format(("prompt", "completion"), ("system",), _prompt_completion),
}


def _turns(fields: Fields, name: str, role: str) -> list[Message]:
    return _chat(fields, name) if isinstance(fields.get(name), list) else [Message(role, _text(fields, name))]


def _with_system(fields: Fields, messages: list[Message]) -> list[Message]:
    system = _optional(fields, "system")
    if not system.strip() or (messages and messages[0].role == "system"):
        return messages
    return [Message("system", system), *messages]


def _chat(fields: Fields, name: str) -> list[Message]:
    value = fields.get(name)
    if not isinstance(value, list):
        raise FormatError(f"'{name}' is {kind(value)}, not a list of messages")
    return [_message(item, name) for item in value]


def _message(item: Any, name: str) -> Message:
    """Read one turn, spelled `role` and `content` or `from` and `value`."""
    if not isinstance(item, Mapping):
        raise FormatError(f"'{name}' holds {kind(item)} where a message should be")
    role = item.get("role", item.get("from"))
    if not isinstance(role, str) or role.lower() not in ROLES:
        raise FormatError(f"'{name}' has a turn by '{sanitize(str(role), newlines=False, limit=40)}', who is unknown")
    content = item.get("content", item.get("value"))
    if not isinstance(content, str):
        raise FormatError(f"the {ROLES[role.lower()]}'s turn is {kind(content)}, not text")
    return Message(ROLES[role.lower()], clean(content))


def _text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise FormatError(f"'{name}' is {kind(value)}, not text")
    return clean(value)


def _optional(fields: Fields, name: str) -> str:
    return "" if fields.get(name) is None else _text(fields, name)


def kind(value: Any) -> str:
    """Name the type of a raw value in JSON's words."""
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return "true or false"
    names: dict[type, str] = {str: "text", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names.get(type(value), f"a {type(value).__name__}")

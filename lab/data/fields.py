"""What the readers of formats share: result, refusal, and reading one field. Called by `formats` and `tasks`."""

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
class Exchange:
    """What a raw row says; `alternatives` are answers that are as right as the last assistant turn."""

    messages: list[Message]
    alternatives: tuple[str, ...] = ()


@dataclass(frozen=True)
class Format:
    """The columns that a format needs and may have, and the function that reads them.

    Attributes:
        read: raises FormatError where a row breaks the promise.
        asks: the question is worded by the lab.
        plain: rows are texts without turns.
        split: column that tells to which official split a row belongs.
    """

    required: tuple[str, ...]
    optional: tuple[str, ...]
    read: Callable[[Fields], Exchange]
    asks: bool = False
    plain: bool = False
    split: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        return self.required + self.optional


def clean(raw: str) -> str:
    """Return `raw` safe for terminals: a carriage return counts as a line break, and no line is too long."""
    return sanitize(raw.replace("\r\n", "\n").replace("\r", "\n"), limit=NO_LIMIT)


def text(fields: Fields, name: str) -> str:
    """Return a field that must be text. Raises FormatError where it is not."""
    value = fields.get(name)
    if not isinstance(value, str):
        raise FormatError(f"'{name}' is {kind(value)}, not text")
    return clean(value)


def optional(fields: Fields, name: str) -> str:
    """Return a field that may be missing, then as empty text. Raises FormatError where it is something else."""
    return "" if fields.get(name) is None else text(fields, name)


def texts(value: Any, name: str) -> list[str]:
    """Return a list that must hold texts. Raises FormatError where it does not."""
    if not isinstance(value, list):
        raise FormatError(f"'{name}' is {kind(value)}, not a list of texts")
    odd = next((item for item in value if not isinstance(item, str)), "")
    if not isinstance(odd, str):
        raise FormatError(f"'{name}' holds {kind(odd)} where a text should be")
    return [clean(item) for item in value]


def kind(value: Any) -> str:
    """Name the type of a raw value in JSON's words."""
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return "true or false"
    names: dict[type, str] = {str: "text", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names.get(type(value), f"a {type(value).__name__}")

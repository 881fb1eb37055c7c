"""From a raw row to a conversation: one reader a format. Called by `read`; everything that enters is sanitised here.

Chats and instructions are read here, plain texts and the tasks whose question the lab words itself in `tasks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.data.fields import ROLES, Exchange, Fields, Format, FormatError, clean, kind, optional, text
from lab.data.rows import Message
from lab.data.tasks import read_pubmedqa, read_squad, read_sst2, read_text
from lab.text import sanitize


def _alpaca(fields: Fields) -> Exchange:
    parts = [text(fields, "instruction"), optional(fields, "input")]
    asked = "\n\n".join(part for part in parts if part.strip())
    return _with_system(fields, [Message("user", asked), Message("assistant", text(fields, "output"))])


def _messages(fields: Fields) -> Exchange:
    return _with_system(fields, _chat(fields, "messages"))


def _sharegpt(fields: Fields) -> Exchange:
    return _with_system(fields, _chat(fields, "conversations"))


def _prompt_completion(fields: Fields) -> Exchange:
    return _with_system(fields, _turns(fields, "prompt", "user") + _turns(fields, "completion", "assistant"))


FORMATS: dict[str, Format] = {  # in the order in which `columns.pick_format` tries them
    "messages": Format(("messages",), ("system",), _messages),
    "sharegpt": Format(("conversations",), ("system",), _sharegpt),
    "alpaca": Format(("instruction", "output"), ("input", "system"), _alpaca),
    "prompt-completion": Format(("prompt", "completion"), ("system",), _prompt_completion),
    "squad": Format(("context", "question", "answers"), (), read_squad, asks=True),
    "pubmedqa": Format(
        ("question", "final_decision"), ("contexts", "context", "split"), read_pubmedqa, asks=True, split="split"
    ),
    "sst2": Format(("sentence", "label"), (), read_sst2, asks=True),
    "text": Format(("text",), (), read_text, plain=True),
}


def _turns(fields: Fields, name: str, role: str) -> list[Message]:
    return _chat(fields, name) if isinstance(fields.get(name), list) else [Message(role, text(fields, name))]


def _with_system(fields: Fields, messages: list[Message]) -> Exchange:
    system = optional(fields, "system")
    if not system.strip() or (messages and messages[0].role == "system"):
        return Exchange(messages)
    return Exchange([Message("system", system), *messages])


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

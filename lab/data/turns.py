"""A rendered conversation and the spans of its assistant turns. Called by `masks`.

Templates that do not end a turn with a special token get the tokenizer's EOS there. A plain text goes by no template:
it is its contents, in the tokenizer's BOS, where it has one, and EOS.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lab.data.contents import Span
from lab.data.rows import Row
from lab.data.skeleton import Skeleton, learn
from lab.data.spans import Turn, find_turns
from lab.data.tally import CONTROL, REFUSED
from lab.data.template import Chat, Template
from lab.errors import DataError

WORTH_LEARNING = 4
"""Chats with the same roles from which on their skeleton is learned."""


@dataclass(frozen=True)
class Rendered:
    """A conversation as text; `turns` are the character spans of its assistant turns, in order."""

    text: str
    turns: tuple[Span, ...]


class RowError(DataError):
    """A row that cannot be encoded; `reason` is that of the data report."""

    def __init__(self, reason: str, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.reason = reason


def render(row: Row, template: Template) -> Rendered:
    """Return the text of `row` and its assistant turns.

    Raises:
        RowError: the template refuses the row or changes what the assistant says, or a text holds a control token.
    """
    chat = template.chat(row)
    _check_control(row, chat, template)
    return _plain(row, template) if row.plain else _found(row, chat, None, None, template)


def render_all(rows: Sequence[Row], template: Template) -> list[Rendered | RowError]:
    """Return what `render` returns for each row, or the reason why it raises, with one rendering a row where it can."""
    chats = [template.chat(row) for row in rows]
    texts = iter(template.render_all([chat for row, chat in zip(rows, chats, strict=True) if not row.plain]))
    counts = Counter(_roles(chat) for chat in chats)
    skeletons = {roles: learn(roles, template) for roles, count in counts.items() if count >= WORTH_LEARNING}
    found: list[Rendered | RowError] = []
    for row, chat in zip(rows, chats, strict=True):
        text = None if row.plain else next(texts)
        try:
            _check_control(row, chat, template)
            known = skeletons.get(_roles(chat))
            found.append(_plain(row, template) if row.plain else _found(row, chat, text, known, template))
        except RowError as refusal:
            found.append(refusal)
    return found


def _found(row: Row, chat: Chat, text: str | None, skeleton: Skeleton | None, template: Template) -> Rendered:
    """Find a chat's turns: by its skeleton where that fits, else by rendering its beginnings."""
    try:
        rendered = template.render(chat) if text is None else text
        turns = skeleton.find(chat, rendered) if skeleton else None
        turns = list(find_turns(chat, rendered, template).values()) if turns is None else turns
    except ValueError as error:
        problem = f"The chat template refuses row {row.id}: {error}."
        raise RowError(REFUSED, problem, "Set data.template, or change data.system_prompt.") from error
    return _with_eos(rendered, turns, template)


def _roles(chat: Chat) -> tuple[str, ...]:
    return tuple(message["role"] for message in chat)


def _check_control(row: Row, chat: Chat, template: Template) -> None:
    for message in chat:
        found = template.control.search(message["content"])
        if found:
            problem = f"Row {row.id} holds the control token '{found.group()}' in its text."
            raise RowError(CONTROL, problem, "Remove it from the source, or from data.system_prompt.")


def _plain(row: Row, template: Template) -> Rendered:
    text, turns = template.begin, []
    for message in row.messages:
        begin, text = len(text), text + message.content
        if message.role == "assistant":
            turns.append(Turn(begin, (begin, len(text)), len(text)))
    return _with_eos(text, turns, template)


def _with_eos(text: str, found: Sequence[Turn], template: Template) -> Rendered:
    """Put the EOS token behind the contents that no end-of-turn token follows, and move the spans accordingly."""
    pieces, turns, done, shift = [], [], 0, 0
    for turn in found:
        added = _eos(template) if turn.end == turn.content[1] else ""
        pieces += [text[done : turn.end], added]
        turns.append((turn.start + shift, turn.end + shift + len(added)))
        done, shift = turn.end, shift + len(added)
    return Rendered("".join(pieces) + text[done:], tuple(turns))


def _eos(template: Template) -> str:
    token: str | None = template.tokenizer.eos_token
    if token is None:
        problem = f"Neither the chat template ({template.source}) nor the tokenizer has a token that ends a turn."
        raise DataError(problem, "Set data.template to a Jinja file that ends each turn with a special token.")
    return token

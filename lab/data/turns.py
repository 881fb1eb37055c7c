"""A rendered conversation and the spans of its assistant turns. Called by `masks`.

A turn's span begins where the generation prompt ends and ends just past the end-of-turn token: exactly what the model
has to write by itself. Templates that do not end a turn with a special token get the tokenizer's EOS there.
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.data.contents import Chat, Span, assistants, find_contents, render_part
from lab.data.rows import Row
from lab.data.tally import CONTROL, REFUSED
from lab.data.template import Template
from lab.errors import DataError


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
    chat = row.chat(template.system_prompt)
    _check_control(row, chat, template)
    try:
        text = template.render(chat)
        prompts = {turn: _prompt(chat, turn, text, template) for turn in assistants(chat)}
        contents = find_contents(chat, text, prompts, template)
    except ValueError as error:
        problem = f"The chat template refuses row {row.id}: {error}."
        raise RowError(REFUSED, problem, "Set data.template, or change data.system_prompt.") from error
    starts = [_start(prompts[turn], begin) for turn, (begin, _) in contents.items()]
    ends = [_end(chat, turn, end, text, template) for turn, (_, end) in contents.items()]
    return _with_eos(text, starts, ends, template)


def _check_control(row: Row, chat: Chat, template: Template) -> None:
    for message in chat:
        found = template.control.search(message["content"])
        if found:
            problem = f"Row {row.id} holds the control token '{found.group()}' in its text."
            raise RowError(CONTROL, problem, "Remove it from the source, or from data.system_prompt.")


def _prompt(chat: Chat, turn: int, text: str, template: Template) -> int:
    """Return where in `text` the generation prompt before a turn ends; 0 where `text` does not begin with it."""
    prompt = render_part(chat[:turn], template, generation=True)
    return len(prompt) if prompt and text.startswith(prompt) else 0


def _start(prompt: int, content: int) -> int:
    """Return where a turn begins: behind its generation prompt, unless there is none or it reaches into the content."""
    return prompt if 0 < prompt <= content else content


def _end(chat: Chat, turn: int, content: int, text: str, template: Template) -> Span:
    """Return where a turn's content and its end-of-turn tokens end; the same place twice where there are none."""
    upto = text if turn == len(chat) - 1 else render_part(chat[: turn + 1], template)
    known = upto is not None and text.startswith(upto)  # where the turn ends and the next one's header begins
    limit = len(upto) if upto is not None and known else len(text)
    end, token = content, template.control.match(text, _skip_space(text, content), limit)
    while token:
        end, token = token.end(), template.control.match(text, token.end(), limit) if known else None
    return content, end


def _with_eos(text: str, starts: list[int], ends: list[Span], template: Template) -> Rendered:
    """Put the EOS token behind the contents that no end-of-turn token follows, and move the spans accordingly."""
    pieces, turns, done, shift = [], [], 0, 0
    for start, (content, end) in zip(starts, ends, strict=True):
        added = _eos(template) if content == end else ""
        pieces += [text[done:end], added]
        turns.append((start + shift, end + shift + len(added)))
        done, shift = end, shift + len(added)
    return Rendered("".join(pieces) + text[done:], tuple(turns))


def _skip_space(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def _eos(template: Template) -> str:
    token: str | None = template.tokenizer.eos_token
    if token is None:
        problem = f"Neither the chat template ({template.source}) nor the tokenizer has a token that ends a turn."
        raise DataError(problem, "Set data.template to a Jinja file that ends each turn with a special token.")
    return token

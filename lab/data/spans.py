"""The spans of the assistant turns of one rendered chat, found by rendering its beginnings. Called by `turns`.

A turn begins where the generation prompt ends and ends just past the end-of-turn token: exactly what the model has to
write by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.data.contents import Span, assistants, find_contents, render_part
from lab.data.template import Chat, Template


@dataclass(frozen=True)
class Turn:
    """Where an assistant turn of a rendered chat is.

    Attributes:
        start: where the model begins to write.
        content: where what it says is.
        end: past the tokens that end the turn; the content's end where there are none.
    """

    start: int
    content: Span
    end: int


def find_turns(chat: Chat, text: str, template: Template) -> dict[int, Turn]:
    """Return the assistant turns of `text`, the rendered chat, by their place in the chat.

    Raises:
        ValueError: the template changes what the assistant says.
    """
    prompts = {turn: _prompt(chat, turn, text, template) for turn in assistants(chat)}
    contents = find_contents(chat, text, prompts, template)
    return {
        turn: Turn(_start(prompts[turn], begin), (begin, end), _end(chat, turn, end, text, template))
        for turn, (begin, end) in contents.items()
    }


def _prompt(chat: Chat, turn: int, text: str, template: Template) -> int:
    """Return where in `text` the generation prompt before a turn ends; 0 where `text` does not begin with it."""
    prompt = render_part(chat[:turn], template, generation=True)
    return len(prompt) if prompt and text.startswith(prompt) else 0


def _start(prompt: int, content: int) -> int:
    """Return where a turn begins: behind its generation prompt, unless there is none or it reaches into the content."""
    return prompt if 0 < prompt <= content else content


def _end(chat: Chat, turn: int, content: int, text: str, template: Template) -> int:
    """Return where the end-of-turn tokens behind a turn's content end; `content` where there are none."""
    upto = text if turn == len(chat) - 1 else render_part(chat[: turn + 1], template)
    known = upto is not None and text.startswith(upto)  # where the turn ends and the next one's header begins
    limit = len(upto) if upto is not None and known else len(text)
    end, token = content, template.control.match(text, _skip_space(text, content), limit)
    while token:
        end, token = token.end(), template.control.match(text, token.end(), limit) if known else None
    return end


def _skip_space(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position

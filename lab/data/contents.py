"""Where in a rendered chat the contents of its assistant turns are. Called by `turns`.

Three ways, the next where one fails: right behind the generation prompt; by marks in place of the contents; all that
comes between the generation prompt and the end of the turn.
"""

from __future__ import annotations

import re

from lab.data.template import Chat, Template

Span = tuple[int, int]
Contents = dict[int, Span]
"""Character spans by the turn's place in the chat."""


def find_contents(chat: Chat, text: str, prompts: dict[int, int], template: Template) -> Contents:
    """Return where in `text`, the rendered chat, each assistant turn's content is.

    Args:
        prompts: where the generation prompt before each assistant turn ends, 0 where there is none.

    Raises:
        ValueError: the template changes what the assistant says.
    """
    found = _by_prompts(chat, text, prompts) or _by_marks(chat, text, template)
    return found or _by_prefix(chat, text, prompts, template)


def assistants(chat: Chat) -> list[int]:
    """Return the places of the assistant's turns."""
    return [turn for turn, message in enumerate(chat) if message["role"] == "assistant"]


def render_part(chat: Chat, template: Template, *, generation: bool = False) -> str | None:
    """Render the beginning of a chat; None where there is none, or where the template takes only whole ones."""
    try:
        return template.render(chat, generation=generation) if chat else None
    except ValueError:
        return None


def _by_prompts(chat: Chat, text: str, prompts: dict[int, int]) -> Contents:
    """Find the contents right behind the generation prompts, where most templates have them."""
    found: Contents = {}
    for turn, begin in prompts.items():
        content = chat[turn]["content"]
        length = _length(content, text, begin) if content.strip() else None
        if not begin or length is None:
            return {}
        found[turn] = (begin, begin + length)
    return found


def _by_marks(chat: Chat, text: str, template: Template) -> Contents:
    """Find the contents by rendering the chat again with a mark in place of each.

    Returns:
        Nothing where the two renderings differ in more than the contents, as they do for templates that look into them.
    """
    marks = {turn: f"lab-mark-{turn}-kram-bal" for turn in assistants(chat)}
    marked = template.render([{**m, "content": marks.get(turn, m["content"])} for turn, m in enumerate(chat)])
    pieces = re.split("|".join(marks.values()), marked)
    if len(pieces) != len(marks) + 1 or not text.startswith(pieces[0]):
        return {}
    found: Contents = {}
    position = len(pieces[0])
    for turn, following in zip(marks, pieces[1:], strict=True):
        length = _length(chat[turn]["content"], text, position, following)
        if length is None:
            return {}
        found[turn] = (position, position + length)
        position += length + len(following)
    return found if position == len(text) else {}


def _length(content: str, text: str, begin: int, following: str = "") -> int | None:
    """Return the length of `content` at `begin`, `following` behind it; templates may strip it."""
    forms = (content, content.strip(), content.lstrip(), content.rstrip())
    return next((len(form) for form in forms if text.startswith(form + following, begin)), None)


def _by_prefix(chat: Chat, text: str, prompts: dict[int, int], template: Template) -> Contents:
    """Take for the content all that comes between the generation prompt and the end of the turn."""
    found: Contents = {}
    for turn, begin in prompts.items():
        upto = render_part(chat[: turn + 1], template)
        end = _without_end(upto, template) if upto and text.startswith(upto) else 0
        if not 0 < begin < end or _words(chat[turn]["content"]) not in _words(text[begin:end]):
            raise ValueError("it changes what the assistant says, so that its words cannot be told from the rest")
        found[turn] = (begin, end)
    return found


def _words(text: str) -> str:
    return "".join(text.split())


def _without_end(text: str, template: Template) -> int:
    """Return the length of `text` without the special tokens and white space at its end."""
    end = len(text.rstrip())
    for match in reversed(list(template.control.finditer(text))):
        if match.end() != end:
            break
        end = len(text[: match.start()].rstrip())
    return end

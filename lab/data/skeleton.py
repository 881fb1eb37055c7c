"""What a template writes around the contents of chats with the same roles: learned once, checked for every chat.

Called by `turns`, to find the assistant turns of thousands of chats with one rendering each. A chat is found by its
skeleton only if skeleton and contents make exactly the text that the template renders; all others go the slow way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lab.data.spans import Turn, find_turns
from lab.data.template import Chat, Template

Strip = Callable[[str], str]

FORMS: tuple[Strip, ...] = (lambda text: text, str.strip, str.lstrip, str.rstrip)
"""What templates do to contents."""

SPACE = "\n "
"""Put around marks, to see what a template strips."""


@dataclass(frozen=True)
class Skeleton:
    """The literal text around the contents of a chat.

    Attributes:
        pieces: text before each content, and after the last one.
        strips: what the template does to each content.
        margins: by the place of each assistant turn, the characters from its start to its content and from there to
            its end.
    """

    pieces: tuple[str, ...]
    strips: tuple[Strip, ...]
    margins: dict[int, tuple[int, int]]

    def find(self, chat: Chat, text: str) -> list[Turn] | None:
        """Return the assistant turns of `text`; None where it is not this skeleton around the chat's contents."""
        turns, position, parts = [], 0, []
        for place, (piece, strip, message) in enumerate(zip(self.pieces, self.strips, chat, strict=False)):
            content = strip(message["content"])
            parts += [piece, content]
            begin = position + len(piece)
            position = begin + len(content)
            if place in self.margins:
                before, behind = self.margins[place]
                turns.append(Turn(begin - before, (begin, position), position + behind))
        return turns if "".join([*parts, self.pieces[-1]]) == text else None


def learn(roles: tuple[str, ...], template: Template) -> Skeleton | None:
    """Return the skeleton of chats with these roles; None where the template does not let one be seen."""
    marks = [f"lab-mark-{place}-kram-bal" for place in range(len(roles))]
    chat = [{"role": role, "content": mark} for role, mark in zip(roles, marks, strict=True)]
    spaced = [{**message, "content": SPACE + message["content"] + SPACE[::-1]} for message in chat]
    try:
        text, wide = template.render(chat), template.render(spaced)
        turns = find_turns(chat, text, template)
    except ValueError:
        return None
    pieces = _around(text, marks)
    strips = tuple(_strip(wide, mark) for mark in marks)
    if pieces is None or any(text[slice(*turn.content)] != marks[place] for place, turn in turns.items()):
        return None
    margins = {place: (turn.content[0] - turn.start, turn.end - turn.content[1]) for place, turn in turns.items()}
    return Skeleton(pieces, strips, margins)


def _around(text: str, marks: list[str]) -> tuple[str, ...] | None:
    """Return the text before each mark and after the last one; None unless each is there once, in this order."""
    pieces = []
    for mark in marks:
        if text.count(mark) != 1:
            return None
        piece, _, text = text.partition(mark)
        pieces.append(piece)
    return (*pieces, text)


def _strip(text: str, mark: str) -> Strip:
    """Return what the template does to a content; where it is something else, no chat will fit the skeleton."""
    spaced = SPACE + mark + SPACE[::-1]
    return next(form for form in (FORMS[0], FORMS[2], FORMS[3], FORMS[1]) if form(spaced) in text or form is FORMS[1])

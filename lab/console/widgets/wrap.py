"""Folding styled text to a width: between words where it can, within them where it must."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from lab.console.widgets.parts import Part, width_of
from lab.text import display_width, graphemes

_PIECES = re.compile(r"\n|[^\S\n]+|\S+")


def wrap(parts: Sequence[Part], width: int) -> list[list[Part]]:
    """Return the text in lines of at most `width` columns; line breaks in it stay."""
    width = max(width, 2)
    lines: list[list[Part]] = [[]]
    used = 0
    for word in _words(parts):
        if word[0][0] == "\n":
            lines.append([])
            used = 0
            continue
        size = width_of(word)
        if used and used + size > width:
            lines.append([])
            used = 0
            if word[0][0].isspace():
                continue
        for text, style in word:
            for chunk in _chunks(text, width - used, width):
                if used + display_width(chunk) > width:
                    lines.append([])
                    used = 0
                lines[-1].append((chunk, style))
                used += display_width(chunk)
    return lines


def _words(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """Yield words, spaces and line breaks, each with its parts: a word may change its style within."""
    word: list[Part] = []
    for text, style in parts:
        for piece in _PIECES.findall(text.expandtabs(4)):
            if piece.isspace() and word:
                yield word
                word = []
            if piece.isspace():
                yield [(piece, style)]
            else:
                word.append((piece, style))
    if word:
        yield word


def _chunks(text: str, room: int, width: int) -> list[str]:
    """Cut a text that is longer than `room` into what fits there and lines of `width`."""
    if display_width(text) <= max(room, 0):
        return [text]
    chunks: list[str] = []
    current, used, limit = "", 0, room if room > 0 else width
    for character in graphemes(text):
        step = display_width(character)
        if used + step > limit:
            chunks.append(current)
            current, used, limit = "", 0, width
        current += character
        used += step
    return [chunk for chunk in (*chunks, current) if chunk]

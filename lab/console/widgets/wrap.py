"""Folding styled text to a width: between words where it can, within them where it must."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lab.console.widgets.parts import Part
from lab.text import display_width

_PIECES = re.compile(r"\n|[^\S\n]+|\S+")


def wrap(parts: Sequence[Part], width: int) -> list[list[Part]]:
    """Return the text in lines of at most `width` columns; line breaks in it stay."""
    width = max(width, 1)
    lines: list[list[Part]] = [[]]
    used = 0
    for piece, style in _pieces(parts):
        if piece == "\n":
            lines.append([])
            used = 0
            continue
        size = display_width(piece)
        if used + size > width and used and not piece.isspace():
            lines.append([])
            used = 0
        for chunk in _chunks(piece, width, width - used):
            if used + display_width(chunk) > width:
                lines.append([])
                used = 0
                if chunk.isspace():
                    continue
            lines[-1].append((chunk, style))
            used += display_width(chunk)
    return lines


def _pieces(parts: Sequence[Part]) -> list[Part]:
    return [(piece, style) for text, style in parts for piece in _PIECES.findall(text.expandtabs(4))]


def _chunks(word: str, width: int, room: int) -> list[str]:
    """Cut a word that is longer than a line."""
    if display_width(word) <= width:
        return [word]
    chunks, current, used, limit = [], "", 0, max(room, 1)
    for character in word:
        step = display_width(character)
        if used + step > limit and current:
            chunks.append(current)
            current, used, limit = "", 0, width
        current += character
        used += step
    return [*chunks, current]

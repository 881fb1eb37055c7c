"""Folding text to a width in terminal columns. Called by the text views."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lab.text import display_width, graphemes


def fold(text: str, width: int, *, after: str = " ") -> list[str]:
    """Return the lines of `text`, none wider than `width` columns: broken behind a character of `after`, else anywhere.

    Line breaks stay; tabs become spaces. Unlike `textwrap` this counts wide characters as two columns.
    """
    return [part for line in text.expandtabs(4).split("\n") for part in _folded(line, max(width, 2), after)]


def _folded(line: str, width: int, after: str) -> Iterator[str]:
    ends = re.escape(after)
    kept, used = "", 0
    for word in re.findall(rf"[^{ends}]*[{ends}]+|[^{ends}]+", line):
        if used + display_width(word.rstrip()) > width:
            if kept.strip():
                yield kept.rstrip()
            kept, used = "", 0
        for piece in _pieces(word, width):
            if used + display_width(piece.rstrip()) > width:
                yield kept.rstrip()
                kept, used = "", 0
            kept, used = kept + piece, used + display_width(piece)
    yield kept.rstrip()


def _pieces(word: str, width: int) -> Iterator[str]:
    """Yield `word` in pieces that fit a line each; a word that fits is one piece."""
    if display_width(word.rstrip()) <= width:
        yield word
        return
    piece, used = "", 0
    for character in graphemes(word):
        step = display_width(character)
        if used + step > width:
            yield piece
            piece, used = "", 0
        piece, used = piece + character, used + step
    yield piece


def hung(head: str, text: str, width: int | None, *, after: str = " ") -> list[str]:
    """Return `text` behind `head`, its further lines indented below its first; unfolded where `width` is None."""
    if width is None:
        return [head + text]
    indent = min(display_width(head), width // 2)
    lines = fold(text, width - indent, after=after)
    if display_width(head) > indent:
        return [*fold(head, width), *(" " * indent + line for line in lines)]
    return [(" " * indent if number else head) + line for number, line in enumerate(lines)]

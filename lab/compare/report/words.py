"""Word-level differences between an answer and its reference. Called by the report's samples."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

LONGEST = 1200
"""Words and gaps of a text that are compared: the comparison is quadratic, and nobody reads further differences."""

ALIKE = 0.25
"""Share of words in common below which differences would mark nearly everything and say nothing."""

_PIECE = re.compile(r"\w+|\s+|[^\w\s]")
Kind = Literal["same", "added", "missing"]


class Piece(NamedTuple):
    """A stretch of text: in both, only in the answer (`added`), or only in the reference (`missing`)."""

    kind: Kind
    text: str


def differences(answer: str, references: Sequence[str]) -> list[Piece] | None:
    """Return `answer` in pieces against the nearest of `references`; None where they have little in common."""
    words = _PIECE.findall(answer)
    if not words or len(words) > LONGEST:
        return None
    wanted = [own for reference in references if len(own := _PIECE.findall(reference)) <= LONGEST]
    aligned = [(own, difflib.SequenceMatcher(None, own, words, autojunk=False)) for own in wanted]
    if not aligned:
        return None
    own, matcher = max(aligned, key=lambda pair: _shared(pair[0], pair[1], words))
    if _shared(own, matcher, words) < ALIKE:
        return None
    return [piece for code in matcher.get_opcodes() for piece in _pieces(*code, own, words)]


def _shared(own: Sequence[str], matcher: difflib.SequenceMatcher[str], words: Sequence[str]) -> float:
    """Return the share of words, gaps left out, that both texts have at the same place of the alignment."""
    every = sum(not word.isspace() for word in (*own, *words))
    both = sum(
        not word.isspace() for start, _, size in matcher.get_matching_blocks() for word in own[start : start + size]
    )
    return 2 * both / every if every else 0.0


def _pieces(code: str, a1: int, a2: int, b1: int, b2: int, own: Sequence[str], words: Sequence[str]) -> list[Piece]:
    if code == "equal":
        return [Piece("same", "".join(words[b1:b2]))]
    pairs: tuple[tuple[Kind, str], ...] = (("missing", "".join(own[a1:a2])), ("added", "".join(words[b1:b2])))
    return [Piece(kind, text) for kind, text in pairs if text]

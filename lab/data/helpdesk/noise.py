"""What hurried people do to their sentences: contractions, slips of the finger, no capitals, no full stop."""

from __future__ import annotations

import re
from random import Random

from lab.data.helpdesk.draw import chance, pick

_CONTRACTIONS = (
    ("cannot", "can't"),
    ("will not", "won't"),
    ("do not", "don't"),
    ("does not", "doesn't"),
    ("did not", "didn't"),
    ("has not", "hasn't"),
    ("need not", "needn't"),
    ("I am", "I'm"),
    ("I would", "I'd"),
    ("I have had", "I've had"),
    ("I have lost", "I've lost"),
    ("this is not", "this isn't"),
    ("there is", "there's"),
)
_WORD = re.compile(r"[A-Za-z']+")
_SHORTEST = 5
"""Letters a word needs to be misspelt: a slip in a shorter one can make another word of it ("no", "not", "now")."""


def contract(text: str) -> str:
    """Return `text` with the contractions of spoken English."""
    for full, short in _CONTRACTIONS:
        text = re.sub(rf"\b{full}\b", short, text)
        text = re.sub(rf"\b{full.capitalize()}\b", short.capitalize(), text)
    return text


def misspell(rng: Random, text: str, count: int, keep: str) -> str:
    """Return `text` with `count` words misspelt, none of them a word of `keep` or one with a capital letter."""
    kept = set(_WORD.findall(keep))
    for _ in range(count):
        words = [m for m in _WORD.finditer(text) if len(m[0]) >= _SHORTEST and m[0].islower() and m[0] not in kept]
        if not words:
            break
        word = pick(rng, words)
        slip = _slip(rng, word[0])
        kept.add(slip)
        text = text[: word.start()] + slip + text[word.end() :]
    return text


def _slip(rng: Random, word: str) -> str:
    """Swap, drop or double one letter inside `word`; the first and the last letter stay, as with real typists."""
    at = 1 + int(rng.random() * (len(word) - 3))
    kind = pick(rng, ("swap", "drop", "double"))
    if kind == "swap":
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if kind == "drop":
        return word[:at] + word[at + 1 :]
    return word[: at + 1] + word[at:]


def careless(rng: Random, text: str, share: float) -> str:
    """Return `text`, with probability `share` each, without capitals and without its last full stop."""
    if chance(rng, share):
        text = text.lower()
    if chance(rng, share):
        text = text.removesuffix(".")
    return text

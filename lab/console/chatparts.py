"""The Chat page as parts: what was said, the answers to one question side by side where there is room."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from lab.console.looks import Looks
from lab.console.runparts import START
from lab.console.sampleparts import GAP, NARROWEST, Texts, below, beside
from lab.console.widgets.parts import Part
from lab.console.widgets.wrap import wrap
from lab.jsonio import as_float
from lab.text import plural, sanitize

if TYPE_CHECKING:
    from lab.runs.chats import Turn

_FINISHES = {"length": "cut at the token limit", "cancelled": "ended by you"}
LONGEST = 1 << 30


@dataclass(frozen=True)
class Reply:
    """One answer. `note` says how long it is and what ended it."""

    who: str
    text: str
    note: str = ""


@dataclass(frozen=True)
class Exchange:
    """A question, or the system prompt (`who` "system"), with the answers to it. Texts are clean."""

    who: str
    text: str
    replies: tuple[Reply, ...] = ()


def exchanges(turns: Iterable[Turn], partial: tuple[str, str] | None) -> list[Exchange]:
    """Return the turns as questions with their answers; `partial` is the answer that comes right now."""
    asked: list[tuple[str, str, list[Reply]]] = []
    for turn in turns:
        text = sanitize(turn.text, limit=LONGEST)
        if turn.who in ("user", "system") or not asked:
            asked.append((turn.who, text, []))
        else:
            asked[-1][2].append(Reply(sanitize(turn.who, newlines=False), text, _note(turn)))
    if partial is not None and asked:
        asked[-1][2].append(Reply(partial[0], partial[1] or "…"))
    return [Exchange(who, text, tuple(replies)) for who, text, replies in asked]


def _note(turn: Turn) -> str:
    tokens, seconds = as_float(turn.facts.get("tokens")), as_float(turn.facts.get("seconds"))
    count = "" if tokens is None else plural(int(tokens), "token")
    speed = f"{tokens / seconds:.1f} tok/s" if tokens and seconds else ""
    parts = (count, speed, _FINISHES.get(str(turn.facts.get("finish")), ""))
    return "  ".join(part for part in parts if part)


def chat_lines(said: Sequence[Exchange], width: int, looks: Looks) -> list[list[Part]]:
    """Return the conversation in lines of at most `width` columns."""
    return [list(line) for exchange in said for line in _exchange_lines(exchange, width, looks)]


@lru_cache(maxsize=512)
def _exchange_lines(exchange: Exchange, width: int, looks: Looks) -> tuple[tuple[Part, ...], ...]:
    """Return the lines of one exchange. Those of earlier ones are not folded again as the last one grows."""
    own: Texts = [([("you" if exchange.who == "user" else exchange.who, "bold $accent")], [(exchange.text, "")])]
    lines = below(own, width)
    texts: Texts = [
        ([(reply.who, "bold $primary"), (f"  {reply.note}", "$quiet")], [(reply.text or "(empty)", "")])
        for reply in exchange.replies
    ]
    if texts:
        room = (width - GAP * (len(texts) - 1)) // len(texts)
        lines += [*beside(texts, room, looks), []] if len(texts) > 1 and room >= NARROWEST else below(texts, width)
    return tuple(tuple(line) for line in lines)


def invitation(title: str, model: str, kept: Sequence[str], width: int) -> list[list[Part]]:
    """Return what stands where nothing has been said yet."""
    if not title:
        return [
            [("Nobody to talk to yet.", "bold")],
            [],
            [("A run answers once it is completed.", "$quiet")],
            [],
            *wrap(START, width),
        ]
    lines: list[list[Part]] = [
        *wrap([("Talk to ", ""), (title, "bold"), (f"  {model}", "$quiet")], width),
        [],
        [("enter", "bold $primary"), ("  load the model and write", "$quiet")],
        [("a", "bold $primary"), ("      an assistant's tool: quiz, feedback, study plan ...", "$quiet")],
        [("x", "bold $primary"), ("      give its memory back", "$quiet")],
    ]
    if kept:
        lines += [[("o", "bold $primary"), (f"      {plural(len(kept), 'earlier conversation')}:", "$quiet")]]
        lines += [[(f"       {sanitize(name, newlines=False)}", "$quiet")] for name in kept[:8]]
    return lines

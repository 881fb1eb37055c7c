"""What a judge is asked, and how its words are read. Called by `pairs` and the judges."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

PROMPT = """You compare two answers to the same question. Judge which one is better: correct, helpful, to the point. \
Do not let their order or their length sway you.

[Question]
{question}
[End of question]

[Answer A]
{first}
[End of answer A]

[Answer B]
{second}
[End of answer B]

Reply with one word: A if answer A is better, B if answer B is better, TIE if they are equally good."""

PROMPT_HASH = hashlib.sha256(PROMPT.encode()).hexdigest()[:8]

_VERDICT = re.compile(r"\b(A|B|TIE)\b")


@dataclass(frozen=True)
class Pair:
    """Two answers in the order in which the judge sees them.

    Attributes:
        swapped: the other side's answer stands first.
        key: hash of all that the judge sees.
    """

    row: str
    question: str
    first: str
    second: str
    swapped: bool

    @property
    def text(self) -> str:
        return PROMPT.format(question=self.question, first=self.first, second=self.second)

    @property
    def key(self) -> str:
        return hashlib.sha256(self.text.encode("utf-8", "replace")).hexdigest()[:16]


def read_verdict(reply: str) -> str:
    """Return "first", "second" or "tie"; empty for a reply that names none of them, or several."""
    plain = re.sub(r"<think>.*?</think>", " ", reply, flags=re.DOTALL).upper().replace("ANSWER ", "")
    bare = plain.strip().strip(".*\"'`[]() \n")
    named = {bare} if bare in ("A", "B", "TIE") else set(_VERDICT.findall(plain))
    return {"A": "first", "B": "second", "TIE": "tie"}[named.pop()] if len(named) == 1 else ""


def preference(verdict: str, *, swapped: bool) -> float:
    """Return 1 where the run's answer was preferred, 0 where the other was, 1/2 for a tie."""
    if verdict == "tie":
        return 0.5
    return float((verdict == "first") != swapped)

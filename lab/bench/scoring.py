"""How long scoring takes: all lexical metrics with their intervals over many answers. `lab bench scoring` calls it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lab.scoring.answers import Answer
from lab.scoring.metrics import samples_of
from lab.scoring.score import score
from lab.series.bootstrap import Sample

FAMILIES: dict[str, tuple[str, ...]] = {
    "BLEU": ("bleu",),
    "chrF": ("chrf",),
    "ROUGE-1, -2, -L, -Lsum": ("rouge1", "rouge2", "rougeL", "rougeLsum"),
    "exact match, token F1": ("exact_match", "token_f1"),
    "accuracy, macro F1": ("accuracy", "macro_f1"),
}
RESAMPLES = 1000
TARGET_ROWS, TARGET_WORDS, TARGET_SECONDS = 10_000, 120, 60.0
KEPT = 0.6
"""Share of the reference's words that an answer keeps in their place: scores like those of a tuned model."""

_VOCABULARY = 8_000
_SYLLABLES = ("ba", "cor", "den", "el", "fi", "gra", "ho", "in", "lu", "mar", "no", "per", "qui", "ro", "sta", "ti")


@dataclass(frozen=True)
class Figure:
    """What a part took; `target` is the most seconds it may take, None where nothing is promised."""

    name: str
    seconds: float
    target: float | None = None

    @property
    def met(self) -> bool | None:
        return None if self.target is None else self.seconds <= self.target

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "met": self.met}


def measure(rows: int, words: int, progress: Callable[[str], None]) -> list[Figure]:
    """Score `rows` answers of `words` words each and return the seconds of every part, the whole last.

    The target is for the size that it was set for, or less work.
    """
    answers = made_up_answers(rows, words)
    progress(f"scoring {rows:,} answers of {words} words")
    parts: dict[str, float] = {}

    def timed(answers: Sequence[Answer], names: Sequence[str]) -> dict[str, Sample]:
        found: dict[str, Sample] = {}
        for family, members in FAMILIES.items():
            begin = time.perf_counter()
            found |= samples_of(answers, members)
            parts[family] = time.perf_counter() - begin
            progress(f"{family}: {parts[family]:.1f} s")
        return {name: found[name] for name in names}

    begin = time.perf_counter()
    score(answers, [name for members in FAMILIES.values() for name in members], resamples=RESAMPLES, read=timed)
    whole = time.perf_counter() - begin
    figures = [Figure(name, seconds) for name, seconds in parts.items()]
    figures.append(Figure(f"{RESAMPLES:,}-fold intervals", whole - sum(parts.values())))
    target = TARGET_SECONDS if rows <= TARGET_ROWS and words <= TARGET_WORDS else None
    return [*figures, Figure("all", whole, target)]


def made_up_answers(rows: int, words: int, seed: int = 0) -> list[Answer]:
    """Return answers of about a language's statistics: Zipf's law over 8,000 words, sentences, two paragraphs."""
    draw = random.Random(seed)
    vocabulary = ["".join(draw.choices(_SYLLABLES, k=draw.randint(1, 4))) for _ in range(_VOCABULARY)]
    weights = [1 / rank for rank in range(1, _VOCABULARY + 1)]
    return [_answer(draw, number, vocabulary, weights, words) for number in range(rows)]


def _answer(draw: random.Random, number: int, vocabulary: list[str], weights: list[float], words: int) -> Answer:
    wanted = draw.choices(vocabulary, weights, k=words)
    others = draw.choices(vocabulary, weights, k=words)
    given = [word if draw.random() < KEPT else other for word, other in zip(wanted, others, strict=True)]
    return Answer(str(number), (_prose(wanted),), _prose(given), "stop")


def _prose(words: list[str]) -> str:
    sentences = [" ".join(words[at : at + 15]).capitalize() + "." for at in range(0, len(words), 15)]
    half = (len(sentences) + 1) // 2
    return "\n\n".join(" ".join(part) for part in (sentences[:half], sentences[half:]) if part)

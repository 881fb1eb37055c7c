"""Samples as plain text: answers beside each other where there is room, else below each other. Called by the commands.

Texts are folded, never cut within a line; a long one ends with the number of its lines that are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest

from lab.compare.columns import quality_columns
from lab.compare.entry import Entry, row_labels
from lab.compare.samples import Sample
from lab.compare.views.cells import ASCII, UNICODE, Glyphs, quality
from lab.compare.views.fold import fold
from lab.text import clip, display_width, pad, plural

COLUMN = 36
"""Terminal columns that a text needs to be read beside others."""

PROMPT_LINES = 14
"""Of a prompt, where two answers are judged."""

_SCORES = 3
_FINISHES = {"length": "cut at the token limit", "error": "failed"}


def samples_as_text(
    samples: Sequence[Sample],
    entries: Sequence[Entry],
    width: int = 80,
    *,
    lines: int = 16,
    ascii_only: bool = False,
) -> str:
    """Return the samples one after another.

    Args:
        entries: the runs that were asked for; their answers come in this order.
        lines: of each text that are shown; 0 shows all.
    """
    labels = row_labels(entries)
    glyphs = ASCII if ascii_only else UNICODE
    shown = [_sample(sample, labels, width, lines, glyphs) for sample in samples]
    return glyphs.text("\n".join(shown)) if shown else "No row fits.\n"


def pair_as_text(
    title: str, prompt: str, texts: Sequence[tuple[str, str]], width: int = 80, *, ascii_only: bool = False
) -> str:
    """Return a prompt over texts under neutral heads, whole: what a person judges without knowing whose they are.

    Of a long prompt the end is shown, where the question is: what comes before is mostly the same for all rows.
    """
    glyphs = ASCII if ascii_only else UNICODE
    rule = f"{glyphs.rule * 2} {title} " + glyphs.rule * max(0, width - display_width(title) - 4)
    shown = [(head, text or "(empty)") for head, text in texts]
    room = (width - 3 * (len(shown) - 1)) // len(shown)
    body = _beside(shown, room, 0, glyphs) if room >= COLUMN else _below(shown, width, 0)
    asked = fold(prompt.strip(), width - 2)
    above = len(asked) - PROMPT_LINES
    head = f"prompt ({plural(above, 'line')} above left out)" if above > 0 else "prompt"
    shown_prompt = ["  " + line for line in asked[-PROMPT_LINES:]]
    return glyphs.text("\n".join([rule, head, *shown_prompt, "", *body, ""]))


def _sample(sample: Sample, labels: Mapping[str, str], width: int, lines: int, glyphs: Glyphs) -> str:
    title = clip(f"{glyphs.rule * 2} {sample.id} ", width)
    rule = title + glyphs.rule * max(0, width - display_width(title))
    runs = [run for run in labels if run in sample.answers]
    texts = [("reference", "\n".join(sample.references) or "-")]
    texts += [(_head(sample, run, labels[run]), sample.answers[run] or "(empty)") for run in runs]
    room = (width - 3 * (len(texts) - 1)) // len(texts)
    body = _beside(texts, room, lines, glyphs) if room >= COLUMN else _below(texts, width, lines)
    return "\n".join([rule, *_below([("prompt", sample.prompt)], width, lines), *body, ""])


def _head(sample: Sample, run: str, label: str) -> str:
    scores = sample.scores.get(run, {})
    columns = [column for column in quality_columns(scores) if column.unit == "fraction"][:_SCORES]
    figures = [f"{column.label} {quality(scores[column.key], column.unit)}" for column in columns]
    finish = _FINISHES.get(sample.finishes.get(run, ""))
    return "  ".join([label, *figures, *([finish] if finish else [])])


def _below(texts: Sequence[tuple[str, str]], width: int, lines: int) -> list[str]:
    return [
        line
        for head, text in texts
        for line in (*fold(head, width), *("  " + part for part in _limited(text, width - 2, lines)))
    ]


def _beside(texts: Sequence[tuple[str, str]], room: int, lines: int, glyphs: Glyphs) -> list[str]:
    heads = [fold(head, room) for head, _ in texts]
    tallest = max(map(len, heads))
    columns = [
        [*head, *[""] * (tallest - len(head)), *_limited(text, room, lines)]
        for head, (_, text) in zip(heads, texts, strict=True)
    ]
    bar = f" {glyphs.bar} "
    return [bar.join(pad(part, room) for part in row).rstrip() for row in zip_longest(*columns, fillvalue="")]


def _limited(text: str, width: int, lines: int) -> list[str]:
    folded = fold(text, width)
    more = len(folded) - lines
    return [*folded[:lines], *fold(f"({plural(more, 'more line')})", width)] if lines and more > 1 else folded

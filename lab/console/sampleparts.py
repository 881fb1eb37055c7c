"""The Samples page as parts: prompt, reference and answers of one row, in columns or one below the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from lab.console.answers import Answers, marked_words
from lab.console.looks import Looks
from lab.console.widgets.parts import Part, width_of
from lab.console.widgets.wrap import wrap
from lab.text import plural

if TYPE_CHECKING:
    from lab.compare.samples import Sample

NARROWEST = 30
"""Terminal columns that a text needs beside others."""
SCORES = 3
PROMPT_LINES = 6
GAP = 3
_FINISHES = {"length": "cut at the token limit", "error": "failed"}
Texts = list[tuple[list[Part], list[Part]]]
"""Head and text of each column."""


@dataclass(frozen=True)
class SampleView:
    """How a row is shown: words that differ marked, texts below each other, the prompt with all its lines."""

    differences: bool = True
    stacked: bool = False
    whole: bool = False


def sample_lines(answers: Answers, sample: Sample, width: int, looks: Looks, view: SampleView) -> list[list[Part]]:
    """Return one row of the test set: the prompt over its reference and every answer."""
    lines = [*prompt_lines(sample.prompt, width, whole=view.whole), []]
    texts = texts_of(answers, sample, differences=view.differences)
    room = (width - GAP * (len(texts) - 1)) // len(texts)
    return lines + (beside(texts, room, looks) if room >= NARROWEST and not view.stacked else below(texts, width))


def prompt_lines(prompt: str, width: int, *, whole: bool, where: str = "f shows them") -> list[list[Part]]:
    """Return the prompt under its title: the last lines, where the question is, unless it is wanted whole.

    What comes before is the same for all rows of most test sets: the system message. `where` tells how it is reached.
    """
    lines = wrap([(prompt.strip(), "")], width)
    hidden = 0 if whole else max(len(lines) - PROMPT_LINES, 0)
    note = f"  {plural(hidden, 'line')} above: {where}" if hidden > 0 else ""
    return [[("prompt", "$accent"), (note, "$quiet")], *lines[hidden:]]


def texts_of(answers: Answers, sample: Sample, *, differences: bool) -> Texts:
    """Return the reference and the answers; words that the reference does not have stand out where asked."""
    reference = "\n".join(sample.references)
    found: Texts = [([("reference", "$accent")], [(reference or "-", "")])]
    for run, label in answers.labels:
        if run not in sample.answers:
            continue
        text = sample.answers[run]
        body: list[Part] = [(text, "")] if text else [("(empty)", "$quiet")]
        if text and differences and reference:
            body = [(piece, "bold $warning" if differs else "") for piece, differs in marked_words(text, reference)]
        found.append((head_of(sample, run, label), body))
    return found


def head_of(sample: Sample, run: str, label: str) -> list[Part]:
    """Return a run's name, this row's scores, and what cut the answer short."""
    from lab.compare.columns import quality_columns
    from lab.compare.views.cells import quality

    scores = sample.scores.get(run, {})
    columns = [column for column in quality_columns(scores) if column.unit == "fraction"][:SCORES]
    figures = "  ".join(f"{column.label} {quality(scores[column.key], column.unit)}" for column in columns)
    finish = _FINISHES.get(sample.finishes.get(run, ""), "")
    return [(label, "bold $primary"), (f"  {figures}", "$quiet"), (f"  {finish}" if finish else "", "$warning")]


def below(texts: Texts, width: int) -> list[list[Part]]:
    """Return the texts one after another."""
    lines: list[list[Part]] = []
    for head, body in texts:
        lines += [*wrap(head, width), *([("  ", ""), *line] for line in wrap(body, width - 2)), []]
    return lines


def beside(texts: Texts, room: int, looks: Looks) -> list[list[Part]]:
    """Return the texts in columns of `room`, heads on one line."""
    heads = [wrap(head, room) for head, _ in texts]
    tallest = max(map(len, heads))
    columns = [
        [*head, *[[]] * (tallest - len(head)), *wrap(body, room)] for head, (_, body) in zip(heads, texts, strict=True)
    ]
    bar: Part = (" | " if looks.plain else " │ ", "$rule")
    lines: list[list[Part]] = []
    for row in zip_longest(*columns, fillvalue=None):
        line: list[Part] = []
        for index, cells in enumerate(row):
            cells = cells or []
            line += [bar] if index else []
            line += [*cells, (" " * (room - width_of(cells)), "")]
        lines.append(line)
    return lines


def as_text(answers: Answers, sample: Sample) -> str:
    """Return the row as plain text, for the clipboard."""
    parts: Sequence[tuple[str, str]] = [
        ("prompt", sample.prompt),
        ("reference", "\n".join(sample.references)),
        *((label, sample.answers[run]) for run, label in answers.labels if run in sample.answers),
    ]
    return "\n\n".join(f"{head}:\n{text}" for head, text in parts) + "\n"

"""Answers as the scorers see them, read from the lines of a run's `generations.jsonl`.

The texts stay raw: cleaning them for a terminal would change what is scored. Views sanitise when they show them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.errors import DataError
from lab.jsonio import as_float
from lab.text import sanitize

FINISHES = ("stop", "length", "error")
_REMEDY = "Generate the answers again with `lab eval`."


@dataclass(frozen=True)
class Answer:
    """One answer and what it is held against.

    `finish` is "stop", "length" (cut at the token limit) or "error" (no answer came). `nll` is the negative log
    likelihood of the reference's `nll_tokens` supervised tokens, summed, in nats. Rows that share a non-empty `group`
    are not independent: intervals resample them together. `bertscore` is the stored F1, `bertscore_by` its signature.
    """

    id: str
    references: tuple[str, ...]
    text: str
    finish: str
    group: str = ""
    nll: float | None = None
    nll_tokens: int | None = None
    reference_bytes: int | None = None
    bertscore: float | None = None
    bertscore_by: str = ""

    @property
    def failed(self) -> bool:
        return self.finish == "error"

    @property
    def empty(self) -> bool:
        """Say whether generation ended without a visible character; a failed answer is not counted as empty."""
        return not self.failed and not self.text.strip()

    @property
    def scored(self) -> str:
        """The text that metrics see: nothing where generation failed, whatever it left behind."""
        return "" if self.failed else self.text


def answers_from_rows(rows: Iterable[Mapping[str, Any]]) -> list[Answer]:
    """Read the lines of `generations.jsonl`; keys that scoring does not use are ignored.

    Raises:
        DataError: a line lacks a key, holds the wrong type, or repeats an id.
    """
    answers: dict[str, Answer] = {}
    for number, row in enumerate(rows, start=1):
        answer = _answer(number, row)
        if answer.id in answers:
            raise DataError(
                f"The id '{_shown(answer.id)}' occurs twice in the generations, again on line {number}.", _REMEDY
            )
        answers[answer.id] = answer
    return list(answers.values())


def counts(answers: Sequence[Answer]) -> dict[str, int]:
    """Return the number of rows, and of those that are empty, failed, and cut by the token limit."""
    return {
        "rows": len(answers),
        "empty": sum(answer.empty for answer in answers),
        "failed": sum(answer.failed for answer in answers),
        "cut": sum(answer.finish == "length" for answer in answers),
    }


def _answer(number: int, row: Mapping[str, Any]) -> Answer:
    references = row.get("references")
    if not isinstance(references, list | tuple) or not all(isinstance(text, str) for text in references):
        raise DataError(f"Line {number} of the generations has no list of strings under 'references'.", _REMEDY)
    finish = _text(number, row, "finish")
    if finish not in FINISHES:
        raise DataError(f"Line {number} of the generations has the unknown finish '{_shown(finish)}'.", _REMEDY)
    return Answer(
        id=_text(number, row, "id"),
        references=tuple(references),
        text=_text(number, row, "answer"),
        finish=finish,
        group=_text(number, row, "group", default=""),
        nll=_number(number, row, "nll"),
        nll_tokens=_count(number, row, "nll_tokens"),
        reference_bytes=_count(number, row, "reference_bytes"),
    )


def _text(number: int, row: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = row.get(key)
    value = default if value is None else value
    if not isinstance(value, str):
        raise DataError(f"Line {number} of the generations has no text under '{key}'.", _REMEDY)
    return value


def _number(number: int, row: Mapping[str, Any], key: str) -> float | None:
    if row.get(key) is None:
        return None
    value = as_float(row[key])
    if value is None:
        raise DataError(f"Line {number} of the generations has no number under '{key}'.", _REMEDY)
    return value


def _count(number: int, row: Mapping[str, Any], key: str) -> int | None:
    value = row.get(key)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise DataError(f"Line {number} of the generations has no count under '{key}'.", _REMEDY)
    return value


def _shown(text: str) -> str:
    return sanitize(text, newlines=False, limit=80)

"""`json_match`: does the answer parse to the same JSON value as a reference, and which of its fields are right.

Numbers compare by value (1 equals 1.0), true is not 1, the order of keys does not matter. A code fence around the whole
answer is allowed, any other text beside the JSON is not. What does not parse scores 0.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lab.scoring.aggregates import column
from lab.scoring.answers import Answer
from lab.text import sanitize

if TYPE_CHECKING:
    from lab.series.bootstrap import Floats

SIGNATURE = "equal:parsed|fence:allowed|other-text:no|numbers:by-value|refs:any|agg:mean|version:1"

_FENCES = ("```", "```json")
_BOOL = object()  # sets true apart from 1, which Python calls equal
_UNPARSABLE = object()  # JSON's null is a value, so None cannot stand for "no JSON"


def json_match(answers: Sequence[Answer]) -> Floats:
    """Return (rows, 2): one where the parsed answer equals a parsed reference."""
    return column(_matches(answer) for answer in answers)


def json_field_accuracy(answers: Sequence[Answer]) -> dict[str, float]:
    """Return, for each field of the reference objects, the share of its rows whose answer has the right value.

    Rows whose references lack the field do not count for it; an answer that is no object is wrong in every field.
    """
    tally: dict[str, list[int]] = {}
    for answer in answers:
        given = _fields(parsed(answer.scored))
        wanted = [_fields(parsed(text)) for text in answer.references]
        for field in {field for reference in wanted for field in reference}:
            values = [reference[field] for reference in wanted if field in reference]
            shown = sanitize(field, newlines=False, limit=80)
            tally.setdefault(shown, []).append(field in given and given[field] in values)
    return {field: sum(right) / len(right) for field, right in sorted(tally.items())}


def signature(_: Sequence[Answer]) -> str:
    return SIGNATURE


def parsed(text: str) -> Hashable:
    """Return the JSON value as something comparable, or a mark that equals no JSON value where the text is not JSON."""
    try:
        return _comparable(json.loads(_unfenced(text.strip()), parse_constant=_refuse_constant))
    except (ValueError, RecursionError):  # ValueError covers broken JSON and numbers of thousands of digits
        return _UNPARSABLE


def is_json(text: str) -> bool:
    return parsed(text) is not _UNPARSABLE


def _matches(answer: Answer) -> bool:
    given = parsed(answer.scored)
    return given is not _UNPARSABLE and any(given == parsed(text) for text in answer.references)


def _unfenced(text: str) -> str:
    opening, _, rest = text.partition("\n")
    fenced = opening.strip().lower() in _FENCES and rest.endswith("```")
    return rest.removesuffix("```") if fenced else text


def _comparable(value: Any) -> Hashable:
    if isinstance(value, dict):
        return frozenset((key, _comparable(item)) for key, item in value.items())
    if isinstance(value, list):
        return tuple(_comparable(item) for item in value)
    return (_BOOL, value) if isinstance(value, bool) else value


def _fields(value: Hashable) -> Mapping[str, Any]:
    return dict(value) if isinstance(value, frozenset) else {}


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")

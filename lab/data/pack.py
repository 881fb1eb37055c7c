"""Prepared rows as arrays and back: what a cache entry holds, numbers and JSON, no pickle. Called by `cache`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import chain, islice, pairwise
from typing import TYPE_CHECKING, Any

from lab.data.masks import IGNORED, Encoded, TestRow
from lab.data.rows import Message, Row

if TYPE_CHECKING:
    import numpy

    Arrays = Mapping[str, numpy.ndarray[Any, Any]]


@dataclass(frozen=True)
class Parts:
    """Rows as tokens, and what is known about them.

    Attributes:
        report: the content of `data.json`.
        stop_ids: the tokens that end an answer under this template.
    """

    train: list[Encoded]
    validation: list[Encoded]
    test: list[TestRow]
    report: dict[str, Any]
    stop_ids: list[int]


def pack(parts: Parts, key: str) -> dict[str, Any]:
    """Return prepared rows as arrays: all tokens in a row, whether each is supervised, rows' lengths, and JSON."""
    import numpy

    encoded = [*parts.train, *parts.validation, *(test.encoded for test in parts.test)]
    ids = numpy.array(list(chain.from_iterable(row.input_ids for row in encoded)), dtype=numpy.int32)
    labels = numpy.array(list(chain.from_iterable(row.labels for row in encoded)), dtype=numpy.int32)
    about = {
        "key": key,
        "ids": [row.id for row in encoded],
        "counts": [len(parts.train), len(parts.validation), len(parts.test)],
        "test": [_question(test) for test in parts.test],
        "report": parts.report,
        "stop_ids": parts.stop_ids,
    }
    return {
        "tokens": ids,
        "supervised": labels != IGNORED,
        "lengths": numpy.array([len(row.input_ids) for row in encoded], dtype=numpy.int64),
        "about": numpy.frombuffer(json.dumps(about).encode(), dtype=numpy.uint8),
    }


def unpack(arrays: Arrays, key: str) -> Parts:
    """Return the rows that `pack` made arrays of.

    Raises:
        ValueError, KeyError, TypeError, IndexError: they are those of another key, or no such arrays.
    """
    about = json.loads(arrays["about"].tobytes())
    if about["key"] != key or len(about["ids"]) != sum(about["counts"]) or len(about["test"]) != about["counts"][2]:
        raise ValueError("the entry is not what its name says")
    rows = _rows(arrays, about["ids"])
    train, validation, test = (list(islice(rows, count)) for count in about["counts"])
    questions = [_test_row(one, encoded) for one, encoded in zip(about["test"], test, strict=True)]
    return Parts(train, validation, questions, about["report"], about["stop_ids"])


def _rows(arrays: Arrays, names: list[str]) -> Iterator[Encoded]:
    import numpy

    tokens, supervised = arrays["tokens"], arrays["supervised"]
    ends = numpy.cumsum(arrays["lengths"]).tolist()
    if len(ends) != len(names) or [len(tokens), len(supervised)] != [ends[-1] if ends else 0] * 2:
        raise ValueError("the entry has lost rows")
    ids, labels = tokens.tolist(), numpy.where(supervised, tokens, IGNORED).tolist()
    return (Encoded(name, ids[a:b], labels[a:b]) for name, (a, b) in zip(names, pairwise([0, *ends]), strict=True))


def _question(test: TestRow) -> dict[str, Any]:
    return {"row": asdict(test.row), "prompt": test.prompt_text, "prompt_tokens": len(test.prompt_ids)}


def _test_row(one: dict[str, Any], encoded: Encoded) -> TestRow:
    about = one["row"]
    messages = tuple(Message(**message) for message in about["messages"])
    row = Row(**{**about, "messages": messages, "alternatives": tuple(about["alternatives"])})
    return TestRow(row, one["prompt"], encoded.input_ids[: one["prompt_tokens"]], encoded)

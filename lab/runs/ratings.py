"""Human verdicts on pairs of answers: the lines of `ratings.jsonl`. Called by `lab.compare.rating`.

A verdict concerns two runs. It is written into the folder of the one whose id sorts first, with both ids, so that
the pair is found whichever way round it is asked for.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.runs.appendlog import AppendLog
from lab.runs.paths import RunPaths
from lab.runs.reader import read_all
from lab.text import sanitize

SCHEMA = 1
CHOICES = ("first", "second", "tie", "skip")
"""What may be said of a pair: the answer of the run whose id sorts first, the other one, neither, no verdict."""


@dataclass(frozen=True)
class Verdict:
    """What a person said of two answers to one row. Texts are clean.

    Attributes:
        first, second: ids of the runs, in order.
        answers: hash of both answers: a verdict on answers that were since replaced does not count.
        choice: one of `CHOICES`; empty where the row was only flagged.
        left: the run whose answer was shown first, to tell a preference for a side.
        flagged: something is wrong with this row; `note` says what.
    """

    first: str
    second: str
    row: str
    answers: str
    choice: str
    left: str = ""
    flagged: bool = False
    note: str = ""


def pair_of(one: RunPaths, other: RunPaths) -> tuple[RunPaths, RunPaths]:
    """Return the two runs in the order of their ids."""
    return (one, other) if one.id <= other.id else (other, one)


def write_verdict(run: RunPaths, verdict: Verdict) -> None:
    """Append `verdict` to the ratings of `run`, the first of the pair. Raises OutOfSpaceError on a full disk."""
    _append(run.ratings, {"type": "verdict", **vars(verdict)})


def write_undo(run: RunPaths, verdict: Verdict) -> None:
    """Append that `verdict`, the last on its row that stands, is taken back. Raises OutOfSpaceError on a full disk."""
    keys = ("first", "second", "row", "answers")
    _append(run.ratings, {"type": "undo", **{key: getattr(verdict, key) for key in keys}})


def read_verdicts(first: RunPaths, second: RunPaths) -> list[Verdict]:
    """Return the verdicts on a pair that stand, in the order in which they were given; undone ones are left out."""
    return fold(read_all(first.ratings), first.id, second.id)


def fold(lines: Iterable[dict[str, Any]], first: str, second: str) -> list[Verdict]:
    """Return the standing verdicts on one pair out of the lines of a ratings file; damaged lines are passed over."""
    standing: list[Verdict] = []
    for line in lines:
        if (line.get("first"), line.get("second")) != (first, second):
            continue
        if line.get("type") == "undo":
            _take_back(standing, line)
        elif line.get("type") == "verdict" and line.get("choice") in (*CHOICES, ""):
            standing.append(_verdict(line))
    return standing


def _take_back(standing: list[Verdict], line: dict[str, Any]) -> None:
    for index in reversed(range(len(standing))):
        if (standing[index].row, standing[index].answers) == (line.get("row"), line.get("answers")):
            del standing[index]
            return


def _verdict(line: dict[str, Any]) -> Verdict:
    texts = {key: str(line.get(key) or "") for key in ("first", "second", "row", "answers", "choice", "left")}
    return Verdict(**texts, flagged=line.get("flagged") is True, note=sanitize(str(line.get("note") or "")))


def _append(path: Path, record: dict[str, Any]) -> None:
    log = AppendLog(path)
    try:
        log.append({"schema": SCHEMA, "t": time.time(), **record})
    finally:
        log.close()

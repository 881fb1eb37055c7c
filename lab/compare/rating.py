"""Blind A/B rating of two runs' answers: which pair comes next, what was said, what it amounts to. No user interface.

Called by `lab samples --rate` and by the console. A session is made anew from the run folders each time, so quitting
and going on later is the same as never having left.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from lab.compare.entry import Entry
from lab.compare.samples import Sample, samples
from lab.errors import UsageError
from lab.runs.paths import RunPaths
from lab.runs.ratings import Verdict, pair_of, read_verdicts, write_undo, write_verdict
from lab.text import sanitize

SIDES = ("left", "right")
Z = 1.959964
"""The normal quantile of a 95 % interval."""


@dataclass(frozen=True)
class Question:
    """Two answers to one row, without saying whose they are.

    Attributes:
        left, right: the answers as they are shown; `left_run` and `right_run` must not be.
        answers: hash of both answers.
        same_before: rows before this one, in the order of asking, that have the same answer twice.
    """

    row: str
    prompt: str
    references: tuple[str, ...]
    left: str
    right: str
    left_run: str
    right_run: str
    answers: str
    same_before: int = 0


@dataclass
class Session:
    """The rating of one pair of runs.

    Attributes:
        first: the run whose folder holds the verdicts; `second` the other one.
        questions: in the order in which they are asked; rows with the same answer twice are not among them.
        same: how many rows have the same answer twice: a tie that nobody needs to be asked about.
        verdicts: those that stand and concern the answers as they are now.
    """

    first: RunPaths
    second: RunPaths
    questions: list[Question]
    same: int
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def open(self) -> list[Question]:
        """The questions without a verdict, in order; a flag alone is none."""
        judged = {verdict.row for verdict in self.verdicts if verdict.choice}
        return [question for question in self.questions if question.row not in judged]

    @property
    def next(self) -> Question | None:
        return next(iter(self.open), None)


@dataclass(frozen=True)
class Summary:
    """What the verdicts on a pair amount to, seen from `run`.

    Attributes:
        wins, losses, ties: rows; `same` of the ties had the same answer twice.
        rate: share of wins, ties as halves; None before the first verdict.
        low, high: its 95 % Wilson interval (Wilson, 1927), over the rows that were judged.
        notes: (row, note) of the flagged rows.
    """

    run: str
    other: str
    wins: int
    losses: int
    ties: int
    same: int
    skipped: int
    left: int
    rate: float | None
    low: float | None
    high: float | None
    notes: tuple[tuple[str, str], ...]


def begin(one: Entry, other: Entry, runs: tuple[RunPaths, RunPaths], *, seed: int = 0) -> Session:
    """Return the session of two evaluated runs, with what was said before.

    Args:
        runs: the folders of both entries.
        seed: of the order of rows and of the sides.

    Raises:
        UsageError: it is the same run twice.
        DataError: the runs share no row with the same references.
    """
    if one.id == other.id:
        raise UsageError(f"{one.id} cannot be rated against itself.", "Name two runs.")
    first, second = pair_of(*runs)
    shared = samples([one, other], rows=0)
    asked = questions(shared, first.id, second.id, seed=seed)
    hashes = {question.row: question.answers for question in asked}
    standing = [v for v in read_verdicts(first, second) if hashes.get(v.row) == v.answers]
    return Session(first, second, asked, len(shared) - len(asked), standing)


def questions(shared: Sequence[Sample], first: str, second: str, *, seed: int = 0) -> list[Question]:
    """Return the rows in a seeded order, each with its sides drawn; those with the same answer twice are left out.

    The order of the file and the order in which the runs were named do not matter.
    """
    found: list[Question] = []
    same = 0
    for sample in sorted(shared, key=lambda s: hashlib.sha256(f"{seed} {s.id}".encode()).digest()):
        if sample.answers[first] == sample.answers[second]:
            same += 1
        else:
            found.append(_question(sample, first, second, seed, same))
    return found


def _question(sample: Sample, first: str, second: str, seed: int, same_before: int) -> Question:
    left, right = (first, second) if random.Random(f"{seed} {sample.id}").random() < 0.5 else (second, first)
    both = "\0".join((sample.answers[first], sample.answers[second]))
    return Question(
        row=sample.id,
        prompt=sample.prompt,
        references=sample.references,
        left=sample.answers[left],
        right=sample.answers[right],
        left_run=left,
        right_run=right,
        answers=hashlib.sha256(both.encode("utf-8", "replace")).hexdigest()[:16],
        same_before=same_before,
    )


def record(session: Session, question: Question, choice: str) -> None:
    """Write a verdict on `question`: "left", "right", "tie" or "skip". A flag that stands for the row stays.

    Raises:
        UsageError: no such choice.
        OutOfSpaceError: the disk is full.
    """
    if choice not in (*SIDES, "tie", "skip"):
        raise UsageError(f"A verdict {choice!r} cannot be.", f"Say one of {', '.join((*SIDES, 'tie', 'skip'))}.")
    run = {"left": question.left_run, "right": question.right_run}.get(choice)
    meant = choice if run is None else "first" if run == session.first.id else "second"
    _write(session, question, choice=meant)


def flag(session: Session, question: Question, note: str) -> None:
    """Write that something is wrong with a row; it can still be judged."""
    _write(session, question, flagged=True, note=sanitize(note, newlines=False))


def undo(session: Session) -> Verdict | None:
    """Take back the last verdict or flag and return it; None where there is none."""
    if not session.verdicts:
        return None
    last = session.verdicts[-1]
    write_undo(session.first, last)
    session.verdicts = session.verdicts[:-1]
    return last


def _write(session: Session, question: Question, *, choice: str = "", flagged: bool = False, note: str = "") -> None:
    verdict = Verdict(
        first=session.first.id,
        second=session.second.id,
        row=question.row,
        answers=question.answers,
        choice=choice,
        left=question.left_run,
        flagged=flagged,
        note=note,
    )
    write_verdict(session.first, verdict)
    session.verdicts = [*session.verdicts, verdict]


def summary(session: Session, run: str = "") -> Summary:
    """Return what the verdicts amount to, seen from `run`, by default the pair's first."""
    run = run or session.first.id
    own, theirs = ("first", "second") if run == session.first.id else ("second", "first")
    last = {v.row: v.choice for v in session.verdicts if v.choice}  # the latest word on a row counts
    said = list(last.values())
    wins, losses, ties = said.count(own), said.count(theirs), said.count("tie")
    judged = wins + losses + ties
    same = _same_passed(session, last) if judged else 0  # equal answers alone are no verdict of anybody
    total, score = judged + same, wins + (ties + same) / 2
    low, high = wilson(score, total) or (None, None)
    return Summary(
        run=run,
        other=session.second.id if run == session.first.id else session.first.id,
        wins=wins,
        losses=losses,
        ties=ties + same,
        same=same,
        skipped=said.count("skip"),
        left=len(session.open),
        rate=score / total if total else None,
        low=low,
        high=high,
        notes=tuple((v.row, v.note) for v in session.verdicts if v.flagged),
    )


def _same_passed(session: Session, judged: Iterable[str]) -> int:
    """Return how many rows of equal answers the rater has passed by: those ahead are not yet part of the draw."""
    if not session.open:
        return session.same
    rows = set(judged)
    return max((question.same_before for question in session.questions if question.row in rows), default=0)


def wilson(successes: float, trials: int) -> tuple[float, float] | None:
    """Return the 95 % Wilson score interval of a share, None without trials.

    Ties may count as halves: a share of halves varies less than one of wins, so the interval is then too wide, never
    too narrow.
    """
    if trials <= 0:
        return None
    share = successes / trials
    middle = share + Z * Z / (2 * trials)
    half = Z * math.sqrt(share * (1 - share) / trials + Z * Z / (4 * trials * trials))
    scale = 1 + Z * Z / trials
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)

"""Judging a run's answers against the references or another run's, into the run's own evaluation. For `lab judge`.

Each row is judged twice, with the answers in either order. Verdicts lie beside the answers, so that what was judged is
never judged again and tables need no judge.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lab import atomic
from lab.compare.entry import answers_in, newest_evaluation
from lab.errors import DataError, NotFoundError, UsageError
from lab.evaluation.judging.endpoint import parse_endpoint
from lab.evaluation.judging.local import LocalJudge
from lab.evaluation.judging.prompt import PROMPT_HASH, Pair, preference, read_verdict
from lab.runs import lock
from lab.runs.appendlog import AppendLog
from lab.runs.paths import EvaluationPaths, RunPaths
from lab.runs.reader import read_all, read_json
from lab.scoring.answers import Answer
from lab.scoring.winrate import length_controlled, win_rate
from lab.text import did_you_mean, plural, sanitize

REFERENCE = "reference"


class Judge(Protocol):
    """Something that says which of two answers is better."""

    @property
    def label(self) -> str:
        """Its name in signatures."""
        ...

    def replies(self, pairs: Sequence[Pair]) -> Iterator[tuple[Pair, str]]:
        """Yield each pair with what was said of it, in any order."""
        ...


JUDGES: dict[str, Callable[[str], Judge]] = {"openai": parse_endpoint, "model": LocalJudge}


@dataclass(frozen=True)
class Side:
    """The other side of the comparison: its label, its text by row, and what it was made from."""

    label: str
    texts: dict[str, str]


@dataclass(frozen=True)
class Outcome:
    """What the verdicts amount to.

    Attributes:
        rows: judged ones, in at least one order; `unclear` replies named no answer, `same` rows had equal answers.
        metrics: as in `metrics.json`.
    """

    rows: int
    unclear: int
    same: int
    metrics: dict[str, dict[str, Any]]


def find_judge(text: str) -> Judge:
    """Return the judge of "openai:URL#MODEL" or "model:ID". Raises UsageError where it is none."""
    kind, _, name = text.partition(":")
    if kind not in JUDGES or not name:
        shown = sanitize(text, newlines=False, limit=60)
        raise UsageError(
            f"There is no judge '{shown}'.{did_you_mean(kind, JUDGES)}",
            "Write --judge openai:URL#MODEL, model:ID or human.",
        )
    return JUDGES[kind](name)


def judged_evaluation(run: RunPaths, task: str) -> EvaluationPaths:
    """Return the run's newest evaluation of `task`. Raises NotFoundError without one."""
    found = newest_evaluation(run, task)
    if found is None:
        raise NotFoundError(f"{run.id} has no answers of the task '{task}'.", f"Generate them: `lab eval {run.id}`.")
    return found


def references(paths: EvaluationPaths) -> Side:
    """Return the rows' first references as the other side."""
    return Side(REFERENCE, {one.id: one.references[0] for one in answers_in(paths) if one.references})


def answers_of_run(run: RunPaths, task: str) -> Side:
    """Return another run's answers as the other side."""
    found = judged_evaluation(run, task)
    spec = read_json(found.spec) or {}
    return Side(f"{run.id}/{spec.get('hash')}", {one.id: one.scored for one in answers_in(found)})


def judge(paths: EvaluationPaths, other: Side, by: Judge, say: Callable[[str], None] = lambda line: None) -> Outcome:
    """Judge what is not judged yet, and write the win rates into the evaluation's `metrics.json`.

    Raises:
        DataError: no row has an answer on both sides.
        LabError: the judge cannot be had; what it said until then is kept.
    """
    answers = [one for one in answers_in(paths) if one.id in other.texts]
    if not answers:
        raise DataError("No row has an answer on both sides.", "Judge runs that answered the same rows.")
    questions = {str(line["id"]): str(line.get("prompt") or "") for line in read_all(paths.generations)}
    pairs = [pair for one in answers for pair in _both_orders(one, other, questions[one.id])]
    handle = lock.acquire(paths.folder / "lock")
    try:
        said = _ask(paths, pairs, by, say)
        outcome = _outcome(answers, pairs, said, other, by)
        write_rates(paths, outcome.metrics)
    finally:
        os.close(handle)
    return outcome


def write_rates(paths: EvaluationPaths, metrics: dict[str, dict[str, Any]]) -> None:
    """Put win rates among the metrics of a finished evaluation, in the place of earlier ones."""
    record = read_json(paths.metrics) or {}
    kept = {name: value for name, value in record.get("metrics", {}).items() if not name.startswith("win_rate")}
    atomic.write_json(paths.metrics, {**record, "metrics": {**kept, **metrics}})


def _both_orders(answer: Answer, other: Side, question: str) -> tuple[Pair, ...]:
    """Return the pair in both orders; nothing for equal answers, which need no judge."""
    own, theirs = answer.scored.strip(), other.texts[answer.id].strip()
    if own == theirs:
        return ()
    return Pair(answer.id, question, own, theirs, False), Pair(answer.id, question, theirs, own, True)


def _ask(paths: EvaluationPaths, pairs: Sequence[Pair], by: Judge, say: Callable[[str], None]) -> dict[str, str]:
    """Return the verdict on each pair by its key, asking the judge for those that are not written yet."""
    name = hashlib.sha256(f"{by.label} {PROMPT_HASH}".encode()).hexdigest()[:12]
    file = paths.folder / f"verdicts-{name}.jsonl"
    said = {str(line.get("pair")): str(line.get("verdict")) for line in read_all(file)}
    missing = [pair for pair in pairs if pair.key not in said]
    log = AppendLog(file)
    try:
        for number, (pair, reply) in enumerate(by.replies(missing) if missing else (), 1):
            verdict = read_verdict(reply)
            shown = sanitize(reply, limit=500)[:2000]
            log.append({"row": pair.row, "pair": pair.key, "swapped": pair.swapped, "verdict": verdict, "said": shown})
            said[pair.key] = verdict
            if number % 10 == 0 or number == len(missing):
                say(f"judged {number} of {len(missing)}")
    finally:
        log.close()
    return said


def _outcome(answers: Sequence[Answer], pairs: Sequence[Pair], said: dict[str, str], other: Side, by: Judge) -> Outcome:
    found: dict[str, list[float]] = {}
    unclear = 0
    for pair in pairs:
        verdict = said[pair.key]
        if verdict:
            found.setdefault(pair.row, []).append(preference(verdict, swapped=pair.swapped))
        else:
            unclear += 1
    asked = {pair.row for pair in pairs}
    same = [one.id for one in answers if one.id not in asked]
    values = {row: sum(each) / len(each) for row, each in found.items()} | dict.fromkeys(same, 0.5)
    judged = [one for one in answers if one.id in values]
    if not judged:
        raise DataError(
            f"The judge named no answer in {plural(unclear, 'reply')}.", "Choose a judge that follows instructions."
        )
    return Outcome(len(judged), unclear, len(same), _rates(judged, values, other, by))


def _rates(judged: Sequence[Answer], values: dict[str, float], other: Side, by: Judge) -> dict[str, dict[str, Any]]:
    preferences, groups = [values[one.id] for one in judged], [one.group for one in judged]
    apart = [len(one.scored.strip()) - len(other.texts[one.id].strip()) for one in judged]
    about = f"judge:{by.label}|prompt:{PROMPT_HASH}|against:{other.label}|orders:both|ties:half"
    rates = {
        "win_rate": (win_rate(preferences, groups), "version:1"),
        "win_rate_lc": (length_controlled(preferences, apart, groups), "length:logistic-tanh,ridge-1|version:1"),
    }
    return {
        name: {"value": value, "low": low, "high": high, "signature": f"{about}|{tail}", "rows": len(judged)}
        for name, ((value, low, high), tail) in rates.items()
    }

"""Rows that are answered and scored together: the profile's own test rows, or a task's. Called by `run` and `tasks`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lab.data.masks import Encoded, TestRow
from lab.data.prepare import Prepared
from lab.evaluation.spec import chosen_rows
from lab.profile.schema import Evaluate, Profile

TEST = "test"


@dataclass(frozen=True)
class QuestionSet:
    """What is asked of a model, and how.

    Attributes:
        task: "test" for the profile's own rows, else the task's name.
        decoding: `evaluate.*` with the task's own metrics and lengths.
        test_hash: of all rows of which these are drawn.
        choices: each row with each of `labels` as its answer; empty where answers are generated.
        referenced: rows have right answers; a list of prompts has none.
        trained_on: how many of the rows are also training rows.
    """

    task: str
    rows: list[TestRow]
    decoding: Evaluate
    test_hash: str
    template_hash: str
    labels: tuple[str, ...] = ()
    choices: tuple[tuple[Encoded, ...], ...] = ()
    referenced: bool = True
    trained_on: int = 0

    @property
    def by_likelihood(self) -> bool:
        return bool(self.choices)

    @property
    def spec(self) -> dict[str, Any]:
        """What a task adds to `spec.json`."""
        if self.task == TEST:
            return {}
        return {"task": self.task, "mode": "likelihood" if self.by_likelihood else "generate", "labels": self.labels}


def own_rows(profile: Profile, prepared: Prepared) -> QuestionSet:
    """Return the profile's own test rows as a set."""
    rows = chosen_rows(prepared.test, profile.evaluate)
    test_hash = prepared.report["splits"]["test"]["hash"]
    return QuestionSet(TEST, rows, profile.evaluate, test_hash, prepared.template.hash)

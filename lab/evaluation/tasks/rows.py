"""The rows of a task as conversations, from where they are. Called by `tasks.prepare` and before a start."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from lab.data.files import READERS, read_file
from lab.data.read import read_test_set
from lab.data.rows import Message, Row
from lab.data.sources import check_sources
from lab.errors import DataError, LabError, NotFoundError
from lab.profile.schema import Data, Source, Task
from lab.profile.tasks import KNOWN_TASKS, KnownTask
from lab.text import plural, sanitize

PROMPT_COLUMNS = ("prompt", "instruction", "question")
NO_ANSWER = "-"
"""Stands where a prompt without a reference has no answer, so that it can be rendered; it is never scored."""


def check_task_sources(tasks: Sequence[Task]) -> None:
    """Refuse what cannot be read, without a network. Raises LabError."""
    for number, task in enumerate(tasks):
        with _by_its_key(number):
            if task.prompts:
                _prompt_file(task)
            elif source := source_of(task):
                check_sources(Data(source=[source]))


def known(task: Task) -> KnownTask:
    """Return what the task's name stands for; an own name stands for nothing."""
    return KNOWN_TASKS.get(task.name, KnownTask())


def source_of(task: Task) -> Source | None:
    """Return where the task's rows come from; None for a list of prompts."""
    if task.source is not None or task.prompts or not known(task).source:
        return task.source
    return Source.model_validate(dict(known(task).source))


def task_rows(number: int, task: Task) -> tuple[list[Row], bool]:
    """Return all rows of a task, and whether they have right answers.

    Args:
        number: its place in `evaluate.task`, for messages.

    Raises:
        LabError: they cannot be read, or none is usable.
    """
    with _by_its_key(number):
        source = source_of(task)
        if source is None:
            texts = _prompts(task)
            return [_question(task.name, place, text) for place, text in enumerate(texts, 1)], False
        rows, tally = read_test_set(source)
        if known(task).official and task.source is None:
            official = _official_ids()
            rows = [row for row in rows if row.id.rpartition("-")[2] in official]
        if not rows:
            told = f" ({tally.told})" if tally.dropped else ""
            raise DataError(f"The task {task.name} has no usable rows{told}.", "Check data.source.0.name and format.")
        return rows, True


def _question(name: str, place: int, text: str) -> Row:
    return Row(f"{name}-{place}", (Message("user", text), Message("assistant", NO_ANSWER)), "", name)


def _prompts(task: Task) -> list[str]:
    if not task.prompts:
        return list(known(task).prompts)
    path = _prompt_file(task)
    if path.suffix == ".txt":
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    else:
        lines = [_prompt(raw, path) for raw in read_file(path)]
    texts = [sanitize(line).strip() for line in lines]
    found = [text for text in texts if text]
    if not found:
        raise DataError(f"{path.name} holds no prompts.", "Write one prompt a line.")
    return found


def _prompt(raw: Any, path: Path) -> str:
    values = [raw[name] for name in PROMPT_COLUMNS if name in raw] if isinstance(raw, Mapping) else []
    if not values or not isinstance(values[0], str):
        raise DataError(
            f"{path.name} has a row without a text under {', '.join(PROMPT_COLUMNS)}.",
            "Name that column in the file, or write one prompt a line into a .txt file.",
        )
    return values[0]


def _prompt_file(task: Task) -> Path:
    path = Path(task.prompts).expanduser()
    shown = sanitize(task.prompts, newlines=False, limit=120)
    if not path.is_file():
        raise NotFoundError(f"There is no file of prompts '{shown}'.", "Check evaluate.task.N.prompts.")
    if path.suffix.lower() not in (".txt", *READERS):
        raise DataError(f"'{shown}' has an extension that the lab does not read.", "Rename it to .txt or .jsonl.")
    return path


@contextlib.contextmanager
def _by_its_key(number: int) -> Iterator[None]:
    """Make errors of a data source name the task's own keys."""
    key = f"evaluate.task.{number}"
    try:
        yield
    except LabError as error:
        told = [
            text.replace("data.source.0", f"{key}.source").replace("evaluate.task.N", key).replace("data.source", key)
            for text in (error.problem, error.remedy)
        ]
        raise type(error)(*told) from error


@cache
def _official_ids() -> frozenset[str]:
    """Return the PubMed ids of PubMedQA's official test half (500 of 1,000), from its test_ground_truth.json."""
    return frozenset(Path(__file__).with_name("pubmedqa_test.txt").read_text().split())


def with_answer(row: Row, answer: str) -> Row:
    """Return the row with `answer` in the place of its last turn."""
    return replace(row, messages=(*row.messages[:-1], Message("assistant", answer)), alternatives=())


def labels_of(task: Task, rows: Sequence[Row]) -> tuple[str, ...]:
    """Return the answers among which the likelihood chooses.

    Raises:
        DataError: a row's own answer is not among them, or there are too many to try.
    """
    own = tuple(task.labels) or known(task).labels or tuple(sorted({row.reference for row in rows}))
    strange = next((row for row in rows if not set(row.references) & set(own)), None)
    if strange is not None:
        answer = sanitize(strange.reference, newlines=False, limit=40)
        raise DataError(
            f"The answer '{answer}' of row {strange.id} is none of the task's labels.", "Set evaluate.task.N.labels."
        )
    if not 2 <= len(own) <= MOST_LABELS:
        problem = f"The task {task.name} has {plural(len(own), 'different answer')}; likelihood takes 2 to 20."
        raise DataError(problem, 'Set evaluate.task.N.labels, or its mode to "generate".')
    return own


MOST_LABELS = 20

"""From `[[evaluate.task]]` to questions in tokens. Called by the worker's session before it loads weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lab.data.masks import Encoded, TestRow, encode_test_rows
from lab.data.rows import Row, split_hash
from lab.data.template import Template
from lab.errors import DataError, LabError
from lab.evaluation.sets import QuestionSet
from lab.evaluation.spec import chosen_rows
from lab.evaluation.tasks.rows import known, labels_of, task_rows, with_answer
from lab.profile.schema import Evaluate, Profile, Task

if TYPE_CHECKING:
    from lab.data.prepare import Prepared


def prepare_tasks(profile: Profile, prepared: Prepared) -> list[QuestionSet]:
    """Return the profile's tasks, rendered by the template that the training rows are rendered by.

    Raises:
        LabError: a task's rows cannot be read, or none can be asked.
    """
    trained = {tuple(row.input_ids) for row in prepared.train}
    return [
        _prepared(number, task, profile.evaluate, prepared.template, trained)
        for number, task in enumerate(profile.evaluate.task)
    ]


def _prepared(
    number: int, task: Task, evaluate: Evaluate, template: Template, trained: set[tuple[int, ...]]
) -> QuestionSet:
    rows, referenced = task_rows(number, task)
    decoding = decoding_of(task, evaluate, referenced=referenced)
    asked = chosen_rows(_encoded(task, rows, template), decoding)
    mode = known(task).mode if task.mode == "auto" else task.mode
    labels: tuple[str, ...] = ()
    choices: tuple[tuple[Encoded, ...], ...] = ()
    if mode == "likelihood":
        labels, choices = _choices(number, task, rows, asked, template)
    return QuestionSet(
        task=task.name,
        rows=asked,
        decoding=decoding,
        test_hash=split_hash(rows),
        template_hash=template.hash,
        labels=labels,
        choices=choices,
        referenced=referenced,
        trained_on=sum(tuple(row.encoded.input_ids) in trained for row in asked) if referenced else 0,
    )


def decoding_of(task: Task, evaluate: Evaluate, *, referenced: bool) -> Evaluate:
    """Return `evaluate` as it holds for a task: its metrics, lengths and rows before the profile's."""
    own = list(task.metrics or known(task).metrics)
    metrics = own or (evaluate.metrics if referenced else [])
    tokens = task.max_new_tokens or known(task).max_new_tokens or evaluate.max_new_tokens
    changes = {"metrics": metrics, "max_new_tokens": tokens, "rows": task.rows, "task": []}
    return evaluate.model_copy(update=changes)


def _encoded(task: Task, rows: Sequence[Row], template: Template) -> list[TestRow]:
    """Return the rows as questions. Raises DataError where the template or a special token spoils one."""
    encoded = []
    for row, item in zip(rows, encode_test_rows(rows, template), strict=True):
        if not isinstance(item, TestRow):  # a test set that lost rows would be another test set
            raise DataError(f"Row {row.id} of the task {task.name} cannot be asked: {item.problem}", "Remove the row.")
        encoded.append(item)
    return encoded


def _choices(
    number: int, task: Task, rows: Sequence[Row], asked: Sequence[TestRow], template: Template
) -> tuple[tuple[str, ...], tuple[tuple[Encoded, ...], ...]]:
    try:
        labels = labels_of(task, rows)
    except LabError as error:
        raise type(error)(error.problem, error.remedy.replace("evaluate.task.N", f"evaluate.task.{number}")) from error
    tried = [_encoded(task, [with_answer(one.row, label) for one in asked], template) for label in labels]
    return labels, tuple(tuple(one.encoded for one in row) for row in zip(*tried, strict=True))

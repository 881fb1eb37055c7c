"""The test sets that `[[evaluate.task]]` knows by name, and what cannot be asked of a task. No rows are read here.

Called by `check`, and by `lab.evaluation.tasks`, which reads the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lab.errors import ProfileError
from lab.text import did_you_mean, sanitize

RESERVED = ("test", "artifact")
"""Names that evaluations of the training data's own test rows and of exports have."""

SENTIMENT, DECISION = ("negative", "positive"), ("yes", "no", "maybe")

GENERAL_PROMPTS = (
    "Explain overfitting in simple terms.",
    "Summarize gradient descent.",
    "Write an email asking for an extension.",
    "Difference between LoRA and QLoRA?",
    "Give 3 ML learning tips.",
    "Explain what a checkpoint is.",
    "Trade-offs between 1B and 3B models?",
    "Sort [3, 1, 4, 1, 5] and explain.",
    "What is transfer learning?",
    "Bias-variance tradeoff in simple terms.",
)
COURSE_PROMPTS = (
    "Explain overfitting in simple terms.",
    "Summarize gradient descent.",
    "Explain the difference between supervised and unsupervised learning.",
    "Why do neural networks need activation functions?",
    "What is a convolutional neural network (CNN)?",
    "What is a recurrent neural network (RNN)?",
    "What is a feature store, and why is it useful?",
    "Explain train-serve skew and how to prevent it.",
    "What is data-centric iteration in machine learning?",
    "Give 3 tips for studying ML systems effectively.",
)
"""The fixed lists of study C."""


@dataclass(frozen=True)
class KnownTask:
    """What a name stands for; keys of the profile win over it.

    Attributes:
        source: keys of `evaluate.task.source`; empty for a list of prompts, and for a set that no name can fetch.
        prompts: questions without references.
        official: the rows are the set's official test half, told by a list of ids.
        fetch: where a set that must be named comes from.
    """

    metrics: tuple[str, ...] = ()
    source: tuple[tuple[str, Any], ...] = ()
    prompts: tuple[str, ...] = ()
    mode: str = "generate"
    labels: tuple[str, ...] = ()
    max_new_tokens: int = 0
    official: bool = False
    fetch: str = ""


_SST2 = (("name", "stanfordnlp/sst2"), ("split", "validation"), ("format", "sst2"))
_SQUAD = (("name", "rajpurkar/squad"), ("split", "validation"), ("format", "squad"))
_PUBMEDQA = (
    ("name", "qiaojin/PubMedQA"),
    ("config", "pqa_labeled"),
    ("format", "pubmedqa"),
    ("columns", {"id": "pubid"}),
)
_CLASSES = ("accuracy", "macro_f1")

KNOWN_TASKS: dict[str, KnownTask] = {
    "sst2": KnownTask(_CLASSES, _SST2, max_new_tokens=8, labels=SENTIMENT),
    "sst2-likelihood": KnownTask(_CLASSES, _SST2, mode="likelihood", labels=SENTIMENT),
    "squad": KnownTask(("exact_match", "token_f1"), _SQUAD, max_new_tokens=48),
    "pubmedqa": KnownTask(_CLASSES, _PUBMEDQA, max_new_tokens=8, labels=DECISION, official=True),
    "pubmedqa-likelihood": KnownTask(_CLASSES, _PUBMEDQA, mode="likelihood", labels=DECISION, official=True),
    "general-prompts": KnownTask(prompts=GENERAL_PROMPTS),
    "course-prompts": KnownTask(prompts=COURSE_PROMPTS),
    # Its repository on the hub holds a loading script, which the datasets library no longer runs.
    "alpaca-eval": KnownTask(("rougeL",), fetch="https://huggingface.co/datasets/tatsu-lab/alpaca_eval"),
}


def check_tasks(tasks: Sequence[Any]) -> None:
    """Refuse a task (of `schema.Task`) that cannot be. Raises ProfileError for the first one."""
    names = [task.name for task in tasks]
    for number, task in enumerate(tasks):
        key = f"evaluate.task.{number}"
        if names.index(task.name) != number or task.name in RESERVED:
            why = "names a task that is there already" if task.name not in RESERVED else "is a name of the lab's own"
            raise ProfileError(f"{key}.name = '{task.name}' {why}.", "Give each task a name of its own.")
        _check_rows(key, task)
        _check_mode(key, task)


def _check_rows(key: str, task: Any) -> None:
    known = KNOWN_TASKS.get(task.name)
    if task.source is not None and task.prompts:
        raise ProfileError(f"{key} has a source and prompts.", "Keep one of them.")
    if task.source is not None and any((task.source.train, task.source.validation, task.source.test)):
        raise ProfileError(f"{key}.source counts rows.", f"Set {key}.rows: all of a task's rows are for testing.")
    if task.source is not None or task.prompts or (known and not known.fetch):
        return
    if known:
        raise ProfileError(
            f"{key}.name = '{task.name}' needs its rows.",
            f'Download them from {known.fetch} and set {key}.source = {{name = "FILE.json"}}.',
        )
    raise ProfileError(
        f"{key}.name = '{sanitize(task.name, newlines=False)}' is no known task, and it names no rows."
        f"{did_you_mean(task.name, KNOWN_TASKS)}",
        f"Set {key}.source or {key}.prompts, or choose {', '.join(KNOWN_TASKS)}.",
    )


def _check_mode(key: str, task: Any) -> None:
    known = KNOWN_TASKS.get(task.name, KnownTask())
    mode = known.mode if task.mode == "auto" else task.mode
    without_answers = task.prompts or (known.prompts and task.source is None)
    if mode == "likelihood" and without_answers:
        raise ProfileError(f"{key}.mode = 'likelihood' needs answers to choose from.", 'Set it to "generate".')
    if len(set(task.labels)) < len(task.labels) or len(task.labels) == 1:
        raise ProfileError(f"{key}.labels should hold two or more different answers.", "Name each answer once.")

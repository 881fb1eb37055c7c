"""One run as a row of a comparison: everything that tables, fairness and samples need, read from its folder once.

Called by the commands `compare`, `samples`, `runs diff` and `study show`, and by the console's results page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import tomli

from lab.compare.chain import chain_cost, chain_note, stages_before
from lab.compare.cost import COST_KEYS, cost_of, generation_cost
from lab.compare.tasks import TEST, how_asked, metric_key, newest_by_task
from lab.compare.trees import at, clean
from lab.jsonio import as_float
from lab.runs.history import History, read_history
from lab.runs.paths import EvaluationPaths, RunPaths, evaluations
from lab.runs.reader import read_all, read_json
from lab.runs.store import RunInfo

if TYPE_CHECKING:
    from lab.scoring.answers import Answer

KINDS = ("run", "floor", "ceiling", "artifact", "seeds")


@dataclass(frozen=True)
class Entry:
    """One row. Texts are clean; what is not known is None or an empty object.

    Attributes:
        name: the study's row, else the name that people gave, else the profile.
        model: the base, for people; study: the one whose row this is, "" without one.
        metrics: {name: {"value", "low", "high", "signature"}} of the newest finished evaluation, and by "task/name" of
            each task's; numbers may be NaN.
        counts: rows answered, and how many of them are empty, failed, cut.
        cost: what `lab.compare.cost` knows.
        tasks: the evaluation of each task that `metrics` were taken from, by the task's name.
        tree: the resolved profile.
        tokens_seen: real tokens the weights were trained on; unlike `cost["train_tokens"]` also of untimed steps.
        notes: what to say of this row beneath a table: `is training, not evaluated`.
        remarks: what to say of a metric, by its name.
    """

    id: str
    kind: str = "run"
    name: str = ""
    profile: str = ""
    model: str = ""
    study: str = ""
    method: str = ""
    state: str = ""
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    cost: dict[str, Any] = field(default_factory=dict)
    spec: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    tree: dict[str, Any] = field(default_factory=dict)
    seed: int | None = None
    tokens_seen: int | None = None
    evaluation: EvaluationPaths | None = None
    tasks: dict[str, EvaluationPaths] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    remarks: dict[str, str] = field(default_factory=dict)

    @property
    def trained(self) -> bool:
        """Say whether training made this row: a baseline, floor or ceiling has none that could differ."""
        return self.kind in ("run", "artifact") and self.method != "baseline"


def load_entry(info: RunInfo) -> Entry:
    """Read a run's folder; a run without a finished evaluation has no metrics, and a note that says so."""
    run, labels = info.run, info.labels
    evaluation = newest_evaluation(run)
    scored = clean(read_json(evaluation.metrics) or {}) if evaluation else {}
    history = read_history(run)
    tree = profile_tree(run)
    tasks = newest_by_task(run)
    task_metrics, remarks = _task_metrics(tasks)
    cost = _cost(info, history, scored.get("cost"))
    chain, note = _chain(run, cost) if at(tree, "model.adapter") else (None, ())
    return Entry(
        id=info.id,
        name=labels.row or labels.name or info.text("profile") or info.id,
        profile=info.text("profile"),
        model=info.text("model"),
        study=labels.study or "",
        method=info.text("method"),
        state=info.state,
        metrics=scored_metrics(scored) | task_metrics,
        counts=scored.get("counts", {}),
        cost=cost | (chain or {}),
        spec=clean(read_json(evaluation.spec) or {}) if evaluation else {},
        environment=clean(read_json(run.environment) or {}),
        data=clean(read_json(run.data) or {}),
        tree=tree,
        seed=at(tree, "train.seed"),
        tokens_seen=sum(history.step_tokens) if history.steps else None,
        evaluation=evaluation,
        tasks={name: paths for name, (paths, _) in tasks.items()},
        notes=(*_notes(info, evaluation, scored), *note),
        remarks=scored.get("notes", {}) | remarks,
    )


def _task_metrics(
    tasks: Mapping[str, tuple[EvaluationPaths, dict[str, Any]]],
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Return the metrics of all tasks, and what to say of them, by their keys in the table."""
    metrics: dict[str, dict[str, Any]] = {}
    remarks: dict[str, str] = {}
    for task, (paths, spec) in tasks.items():
        scored = clean(read_json(paths.metrics) or {})
        asked = how_asked(spec)
        for name, record in scored_metrics(scored).items():
            metrics[metric_key(task, name)] = {**record, "signature": f"{record['signature']}|{asked}"}
        remarks |= {metric_key(task, name): str(text) for name, text in (scored.get("notes") or {}).items()}
    return metrics, remarks


def newest_evaluation(run: RunPaths, task: str = TEST) -> EvaluationPaths | None:
    """Return the run's newest finished evaluation of `task`, or None."""
    of_task = (e for e in reversed(evaluations(run)) if (read_json(e.spec) or {}).get("task", TEST) == task)
    return next(of_task, None)


def profile_tree(run: RunPaths) -> dict[str, Any]:
    """Return the run's resolved profile as plain data; an empty object where the file is missing or damaged."""
    try:
        tree: dict[str, Any] = clean(tomli.loads(run.profile.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomli.TOMLDecodeError):
        return {}
    return tree


def answers_of(entry: Entry, task: str = TEST) -> list[Answer]:
    """Return the answers that the entry's metrics of `task` were computed from, raw as the scorers want them.

    Raises:
        DataError: a line of the generations is damaged.
    """
    evaluation = entry.evaluation if task == TEST else entry.tasks.get(task)
    return answers_in(evaluation) if evaluation else []


def answers_in(evaluation: EvaluationPaths) -> list[Answer]:
    """Return the answers of an evaluation, each with its stored BERTScore where there is one.

    Raises:
        DataError: a line of the generations is damaged.
    """
    from lab.scoring.answers import answers_from_rows
    from lab.scoring.bertscore import FILE, with_scores

    return with_scores(answers_from_rows(read_all(evaluation.generations)), read_json(evaluation.folder / FILE))


def stored_bertscores(entry: Entry) -> dict[str, Any] | None:
    """Return the content of the evaluation's `bertscore.json`, which holds the floor's scores too; None without one."""
    from lab.scoring.bertscore import FILE

    return read_json(entry.evaluation.folder / FILE) if entry.evaluation else None


def row_labels(entries: Iterable[Entry]) -> dict[str, str]:
    """Return a short name for each row, by id; rows of one name get the end of their id behind it."""
    entries = list(entries)
    names = [entry.name for entry in entries]
    return {e.id: e.name if names.count(e.name) == 1 else f"{e.name} {e.id.rpartition('-')[2]}" for e in entries}


def scored_metrics(scored: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the metrics in the content of a `metrics.json`, by name."""
    return {name: _metric(record) for name, record in scored.get("metrics", {}).items()}


def _metric(record: dict[str, Any]) -> dict[str, Any]:
    numbers = {key: as_float(record.get(key)) for key in ("value", "low", "high")}
    return {**numbers, "signature": str(record.get("signature") or "")}


def _cost(info: RunInfo, history: History, generation: dict[str, Any] | None) -> dict[str, Any]:
    """Return what a completed run wrote about its cost, or work it out; the evaluation may be newer than either."""
    written = info.summary.get("cost") or {}
    if info.state != "completed" or not written.keys() >= COST_KEYS:
        written = cost_of(history, read_all(info.run.telemetry), info.record.get("facts") or {})
    return clean({**written, **generation_cost(generation)})  # type: ignore[no-any-return]


def _chain(run: RunPaths, cost: dict[str, Any]) -> tuple[dict[str, float | None] | None, tuple[str, ...]]:
    """Return what a later stage cost with those before it, None where one of these is not here, and what to say."""
    before = stages_before(run, profile_tree)
    sums = None if before is None else chain_cost(cost, [_cost(one, read_history(one.run), None) for one in before])
    return sums, (chain_note(sums, len(before or ())),)


def _notes(info: RunInfo, evaluation: EvaluationPaths | None, scored: dict[str, Any]) -> tuple[str, ...]:
    notes = []
    if info.state not in ("completed", "evaluating") or evaluation is None:
        reason = f": {info.detail}" if info.detail else ""
        missing = ", not evaluated" if evaluation is None else ""
        notes.append(f"is {info.state}{missing}{reason}")
    absent: dict[str, list[str]] = {}
    for name, reason in scored.get("absent", {}).items():
        absent.setdefault(reason, []).append(name)
    notes += [f"has no {', '.join(names)}: {reason}" for reason, names in absent.items()]
    return tuple(notes)

"""Metrics of further test sets (`[[evaluate.task]]`) beside those of the test rows: "sst2/accuracy". Called by `entry`.

Each task has evaluations of its own, whose spec names it. Which rows were answered, and how, is part of the signature,
so that a table never sets answers to different rows side by side without a word.
"""

from __future__ import annotations

from typing import Any

from lab.compare.trees import clean
from lab.runs.paths import EvaluationPaths, RunPaths, evaluations
from lab.runs.reader import read_json
from lab.scoring.names import JUDGED, METRIC_NAMES, MetricName

TEST = "test"
OTHERS = (TEST, "artifact")
"""Evaluations that are no task's: of the test rows, by the run or by what was exported from it."""


def metric_key(task: str, name: str) -> str:
    """Return how a metric of a task is called in tables and summaries."""
    return name if task == TEST else f"{task}/{name}"


def metric_name(key: str) -> MetricName | None:
    """Return what is known of a metric by its key, the task in its label; None for one that is not known."""
    task, _, name = key.rpartition("/")
    found = METRIC_NAMES.get(name) or JUDGED.get(name)
    if found is None or not task:
        return found
    return MetricName(key, f"{task} {found.label}", found.unit, found.higher_is_better)


def newest_by_task(run: RunPaths) -> dict[str, tuple[EvaluationPaths, dict[str, Any]]]:
    """Return the newest finished evaluation of each task with its spec, by name."""
    found: dict[str, tuple[EvaluationPaths, dict[str, Any]]] = {}
    for paths in evaluations(run):
        spec = clean(read_json(paths.spec) or {})
        task = str(spec.get("task") or TEST)
        if task not in OTHERS:
            found[task] = (paths, spec)
    return dict(sorted(found.items()))


def how_asked(spec: dict[str, Any]) -> str:
    """Return what makes a task's figures comparable besides the metric's own signature."""
    decoding = spec.get("decoding") or {}
    parts = [f"rows:{str(spec.get('rows_hash'))[:8]}", f"mode:{spec.get('mode')}"]
    parts += [f"template:{str(spec.get('template_hash'))[:8]}", f"weights:{spec.get('weights')}"]
    if spec.get("mode") == "likelihood":
        return "|".join([*parts, f"labels:{'/'.join(map(str, spec.get('labels') or ()))}"])
    names = ("max_new_tokens", "temperature", "repetition_penalty")
    drawn = ("top_p", "seed") if decoding.get("temperature") else ()
    return "|".join([*parts, *(f"{name}:{decoding.get(name)}" for name in (*names, *drawn))])

"""Computing `metrics.json` anew from the answers that are there: no model, no GPU, no network. `lab eval --rescore`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lab import atomic
from lab.compare.entry import answers_in
from lab.jsonio import as_float
from lab.profile.load import load_profile
from lab.runs.paths import EvaluationPaths, RunPaths
from lab.runs.reader import read_all, read_json
from lab.scoring.names import METRIC_NAMES


def answered_evaluations(run: RunPaths) -> list[EvaluationPaths]:
    """Return the run's evaluations whose rows are all answered, scored or not, the oldest first."""
    folders = sorted(run.evaluation.glob("*/generations.jsonl"), key=_age)
    found = [EvaluationPaths(path.parent) for path in folders]
    return [paths for paths in found if _whole(paths)]


def rescore(run: RunPaths, paths: EvaluationPaths) -> int:
    """Write `metrics.json` of one evaluation from its answers and return their number.

    The metrics are those it had, else those it was asked for, else the profile's. What scoring cannot know, as a
    judge's verdicts and the time to the first token, stays as it was written.

    Raises:
        DataError: a line of the generations is damaged.
    """
    from lab.scoring.score import score

    old = read_json(paths.metrics) or {}
    names = [*old.get("metrics", {}), *old.get("absent", {})]
    asked = (read_json(paths.spec) or {}).get("metrics") or []
    wanted = [name for name in names or asked if name in METRIC_NAMES]
    answers = answers_in(paths)
    fresh = score(answers, wanted or load_profile(str(run.profile)).profile.evaluate.metric_names)
    others = {name: record for name, record in old.get("metrics", {}).items() if name not in METRIC_NAMES}
    cost = {**answering_cost(list(read_all(paths.generations))), **(old.get("cost") or {})}
    kept = {key: value for key, value in old.items() if key not in fresh}
    metrics = {**fresh["metrics"], **others}
    atomic.write_json(paths.metrics, {**kept, **fresh, "metrics": metrics, "cost": cost})
    return len(answers)


def answering_cost(generations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what answering cost as far as the answers tell it; the time to the first token they do not."""
    tokens = sum(int(line.get("tokens") or 0) for line in generations)
    seconds = sum(as_float(line.get("seconds")) or 0.0 for line in generations)
    speed = tokens / seconds if seconds else None
    return {
        "generated_tokens": tokens,
        "seconds": seconds,
        "tokens_per_second": speed,
        "first_token_seconds": None,
    }


def _age(generations: Path) -> float:
    metrics = generations.with_name("metrics.json")
    return (metrics if metrics.is_file() else generations).stat().st_mtime


def _whole(paths: EvaluationPaths) -> bool:
    wanted = (read_json(paths.spec) or {}).get("rows")
    count = sum(1 for _ in read_all(paths.generations))
    return count > 0 and (not isinstance(wanted, int) or count >= wanted)

"""Scoring again from the answers alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab import atomic
from lab.compare.entry import load_entry
from lab.compare.rescore import answered_evaluations, rescore
from lab.compare.table import build_table
from lab.runs.paths import EvaluationPaths, RunPaths, evaluations
from lab.runs.reader import read_json
from lab.runs.store import read_run
from lab.scoring.bertscore import FILE, key_of
from tests.fixtures.folders import answered, make_run, right_answers

METRICS = ("json_match", "token_f1", "bleu", "chrf", "rougeL", "macro_f1", "perplexity")


@pytest.fixture
def run(tmp_path: Path) -> RunPaths:
    profile = {"evaluate": {"metrics": list(METRICS)}}
    return make_run(tmp_path, generations=answered(right_answers(8, 5)), metrics=METRICS, profile=profile)


def only(run: RunPaths) -> EvaluationPaths:
    (paths,) = answered_evaluations(run)
    return paths


def figures(paths: EvaluationPaths) -> dict[str, Any]:
    metrics = (read_json(paths.metrics) or {})["metrics"]
    return {name: (record["value"], record["signature"]) for name, record in metrics.items()}


def test_without_its_file_the_same_numbers_come_again(run: RunPaths) -> None:
    paths = only(run)
    rescore(run, paths)
    before = read_json(paths.metrics) or {}
    paths.metrics.unlink()
    assert evaluations(run) == []
    assert rescore(run, only(run)) == 8
    after = read_json(paths.metrics) or {}
    assert after["metrics"] == before["metrics"]
    assert after["interval"] == before["interval"]
    assert after["cost"]["generated_tokens"] == before["cost"]["generated_tokens"] == 40
    assert after["cost"]["tokens_per_second"] == pytest.approx(50.0)


def test_what_scoring_cannot_know_stays(run: RunPaths) -> None:
    paths = only(run)
    old = read_json(paths.metrics) or {}
    judged = {"value": 0.6, "low": 0.5, "high": 0.7, "signature": "judge:someone"}
    old["metrics"] = {"bleu": old["metrics"]["bleu"], "win_rate": judged}
    atomic.write_json(paths.metrics, {**old, "judge": {"ties": 3}, "cost": {"first_token_seconds": 0.25}})
    rescore(run, paths)
    new = read_json(paths.metrics) or {}
    assert list(new["metrics"]) == ["bleu", "win_rate"]
    assert new["metrics"]["win_rate"] == judged
    assert new["judge"] == {"ties": 3}
    assert new["cost"]["first_token_seconds"] == 0.25


def test_a_metric_that_was_absent_is_tried_again(run: RunPaths) -> None:
    paths = only(run)
    old = read_json(paths.metrics) or {}
    atomic.write_json(paths.metrics, {**old, "absent": {"exact_match": "no reference on 8 of 8 rows"}})
    rescore(run, paths)
    assert "exact_match" in figures(paths)


def test_unfinished_answers_are_not_scored(run: RunPaths) -> None:
    paths = only(run)
    atomic.write_json(paths.spec, {**(read_json(paths.spec) or {}), "rows": 9})
    assert answered_evaluations(run) == []


def bertscores(paths: EvaluationPaths, rows: list[dict[str, Any]], score: float) -> None:
    keys = [key_of(row["answer"], row["references"]) for row in rows]
    keys += [key_of(other["references"][0], row["references"]) for row in rows for other in rows]
    record = {"schema": 1, "model": "m", "signature": "model:m|version:1", "scores": dict.fromkeys(keys, score)}
    atomic.write_json(paths.folder / FILE, record)


def test_bertscore_comes_from_its_file_for_rows_floor_and_ceiling(tmp_path: Path) -> None:
    rows = answered(["almost"] * 8)
    run = make_run(tmp_path, generations=rows, metrics=("bleu",), profile={"evaluate": {"metrics": ["bertscore"]}})
    paths = only(run)
    bertscores(paths, rows, 0.5)
    paths.metrics.unlink()
    rescore(run, paths)
    assert figures(paths) == {"bertscore": (0.5, "model:m|version:1")}
    info = read_run(run)
    assert info is not None
    floor, row, ceiling = build_table([load_entry(info)], floor=True).entries
    values = [entry.metrics["bertscore"]["value"] for entry in (floor, row, ceiling)]
    assert values == [0.5, 0.5, 1.0]

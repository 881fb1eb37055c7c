"""The finished run in `tests/fixtures`, made by the lab itself (weights left out): what readers rely on holds in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.compare.entry import load_entry
from lab.compare.table import build_table
from lab.compare.views import render
from lab.profile.load import load_profile
from lab.runs.history import read_history
from lab.runs.paths import RunPaths, evaluations
from lab.runs.reader import read_all, read_json
from lab.runs.store import RunInfo, read_run
from lab.scoring.answers import answers_from_rows
from lab.scoring.score import score

FOLDER = Path(__file__).parents[2] / "fixtures" / "finished_run"


@pytest.fixture
def info() -> RunInfo:
    found = read_run(RunPaths(FOLDER))
    assert found is not None
    return found


def test_it_reads_as_completed_without_its_lock_and_weights(info: RunInfo) -> None:
    assert info.state == "completed"
    assert info.record["step"] == info.record["total_steps"] == 60


def test_its_profile_is_one_the_lab_still_takes(info: RunInfo) -> None:
    assert load_profile(str(info.run.profile)).profile.method.kind == "lora"


def test_its_curves_are_whole(info: RunInfo) -> None:
    history = read_history(info.run)
    assert history.steps == list(range(1, 61))
    assert history.end is not None
    assert info.summary["cost"]["train_tokens"] == history.tokens


def test_scoring_its_answers_again_gives_its_metrics(info: RunInfo) -> None:
    (evaluation,) = evaluations(info.run)
    kept = read_json(evaluation.metrics) or {}
    fresh = score(answers_from_rows(read_all(evaluation.generations)), list(kept["metrics"]))
    assert fresh["metrics"] == kept["metrics"]


def test_it_stands_in_a_table(info: RunInfo) -> None:
    text = render(build_table([load_entry(info)], floor=True), "text", width=100)
    assert "JSON match" in text
    assert "floor" in text

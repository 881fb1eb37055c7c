"""Reading a run's folder into a row."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from lab.compare.cost import COST_KEYS
from lab.compare.entry import Entry, answers_of, load_entry, row_labels
from lab.runs.labels import Labels
from lab.runs.paths import RunPaths
from lab.runs.store import read_run
from tests.fixtures.folders import add_evaluation, answered, make_run, right_answers, training_events


def loaded(run: RunPaths) -> Entry:
    info = read_run(run)
    assert info is not None
    return load_entry(info)


def test_a_finished_run(tmp_path: Path) -> None:
    entry = loaded(make_run(tmp_path, generations=answered(right_answers(8, 6)), profile={"train": {"seed": 7}}))
    assert (entry.kind, entry.method, entry.state, entry.profile) == ("run", "lora", "completed", "demo-lora")
    assert entry.metrics["json_match"]["value"] == 0.75
    assert set(entry.metrics["json_match"]) == {"value", "low", "high", "signature"}
    assert entry.counts == {"rows": 8, "empty": 0, "failed": 0, "cut": 0}
    assert (entry.seed, entry.tokens_seen, entry.spec["rows_hash"]) == (7, 400, "a3f10000")
    assert set(entry.cost) == COST_KEYS
    assert entry.cost["generated_tokens_per_second"] == 50.0
    assert len(answers_of(entry)) == 8
    assert entry.notes == ()


@pytest.mark.parametrize(
    ("labels", "name"),
    [
        (None, "demo-lora"),
        (Labels(name="mine"), "mine"),
        (Labels(name="mine", study="s", row="rank 4"), "rank 4"),
    ],
)
def test_the_name_of_a_row(tmp_path: Path, labels: Labels | None, name: str) -> None:
    assert loaded(make_run(tmp_path, labels=labels)).name == name


def test_a_run_that_was_not_evaluated(tmp_path: Path) -> None:
    entry = loaded(make_run(tmp_path, state="training", metrics=None, events=training_events()[:4]))
    assert entry.metrics == {}
    assert entry.state == "lost"
    assert entry.notes == ("is lost, not evaluated",)
    assert answers_of(entry) == []


def test_unfinished_evaluations_do_not_count_and_the_newest_of_the_test_rows_wins(tmp_path: Path) -> None:
    run = make_run(tmp_path, generations=answered(right_answers(8, 2)))
    newer = add_evaluation(run, answered(right_answers(8, 4)), spec={"hash": "f00d"})
    other = add_evaluation(run, answered(right_answers(8, 8)), spec={"hash": "cafe", "task": "general-prompts"})
    unfinished = add_evaluation(run, answered(right_answers(8, 6)), spec={"hash": "0bad"})
    unfinished.metrics.unlink()
    for age, paths in enumerate((other, newer)):
        os.utime(paths.metrics, (2e9 - age, 2e9 - age))
    entry = loaded(run)
    assert entry.evaluation == newer
    assert entry.metrics["json_match"]["value"] == 0.5


def test_cost_is_what_a_completed_run_wrote_else_worked_out(tmp_path: Path) -> None:
    written: dict[str, Any] = {**dict.fromkeys(COST_KEYS), "train_seconds": 77.0}
    done = make_run(tmp_path, "done", summary={"cost": written})
    failed = make_run(tmp_path, "failed", state="failed", summary={"cost": written})
    partly = make_run(tmp_path, "partly", summary={"cost": {"train_seconds": 77.0}})
    assert [loaded(run).cost["train_seconds"] for run in (done, failed, partly)] == [77.0, 8.0, 8.0]
    assert loaded(done).cost["generated_tokens_per_second"] == 50.0


def test_tokens_leave_out_replayed_steps(tmp_path: Path) -> None:
    again = [e for e in training_events(attempt=2) if e["type"] != "step" or e["step"] > 2]
    resume = {"type": "resume", "attempt": 2, "step": 2, "from_step": 2}
    entry = loaded(make_run(tmp_path, events=[*training_events(), resume, *again]))
    assert (entry.tokens_seen, entry.cost["train_tokens"]) == (400, 400)


def test_metrics_that_could_not_be_computed_are_noted(tmp_path: Path) -> None:
    rows = answered(right_answers(4, 2), nll=[None] * 4)
    entry = loaded(make_run(tmp_path, generations=rows, metrics=("json_match", "perplexity", "bits_per_byte")))
    assert set(entry.metrics) == {"json_match"}
    assert any(note.startswith("has no perplexity: ") for note in entry.notes)


def test_numbers_that_are_no_json_come_back(tmp_path: Path) -> None:
    metrics = {"metrics": {"perplexity": {"value": "inf", "low": "nan", "high": None, "signature": "s"}}}
    record = loaded(make_run(tmp_path, metrics=metrics)).metrics["perplexity"]
    assert record["value"] == float("inf")
    assert record["high"] is None


def test_texts_from_files_are_clean(tmp_path: Path) -> None:
    poison = "\x1b]0;owned\x07\x1b[2Jfine\u202e"
    run = make_run(
        tmp_path,
        labels=Labels(row=poison),
        environment={"host": {"cpu": poison}},
        data={"sources": [{"name": poison}]},
        spec={"template_hash": poison},
        metrics={"metrics": {"bl\x1b[31meu": {"value": 0.5, "signature": poison}}, "notes": {"bleu": poison}},
    )
    entry = loaded(run)
    assert entry.name == "fine"
    for value in (entry.environment, entry.data, entry.spec, entry.metrics, entry.tree, entry.remarks):
        assert not any(mark in str(value) for mark in ("\x1b", "\\x1b", "\u202e", "owned"))


def test_a_damaged_profile_leaves_the_rest_readable(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.profile.write_bytes(b"\xff[[")
    assert loaded(run).tree == {}


def test_rows_of_one_name_are_told_apart() -> None:
    rows = [Entry("20270101-a-1111", name="lora"), Entry("20270101-b-2222", name="lora"), Entry("x-3", name="top")]
    assert list(row_labels(rows).values()) == ["lora 1111", "lora 2222", "top"]

"""A real run with tasks: each in an evaluation of its own, in the table beside the test rows, never answered twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from lab.cli.app import run as lab
from lab.compare.entry import load_entry
from lab.compare.rescore import answered_evaluations, rescore
from lab.compare.table import build_table
from lab.compare.tasks import newest_by_task
from lab.launching.jobs import start_evaluation
from lab.modeling.artifact import load_artifact
from lab.runs.paths import RunPaths, evaluations
from lab.runs.reader import read_all, read_json
from lab.runs.store import find_run
from tests.fixtures.tiny_model import PEFT_ASKS, base
from tests.fixtures.tiny_runs import start_tiny, tiny_study, wait_ended


def tasks(folder: Path) -> str:
    films = [{"sentence": f"film {i}", "label": i % 2} for i in range(7)]
    (folder / "films.jsonl").write_text("\n".join(json.dumps(row) for row in films))
    (folder / "list.txt").write_text("First?\nSecond?\n")
    source = f'{{name = "{folder / "films.jsonl"}"}}'
    return (
        f'evaluate.task=[{{name = "sst2", source = {source}, max_new_tokens = 3}}, '
        f'{{name = "sst2-likelihood", source = {source}}}, {{name = "list", prompts = "{folder / "list.txt"}"}}]'
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunPaths]:
    home = tmp_path_factory.mktemp("home")
    tiny_study(home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_HOME", str(home / "lab"))
        patch.chdir(home)
        run = start_tiny(home, "train.max_steps=2", tasks(home))
        state = wait_ended(run)
        assert state["state"] == "completed", state
        yield run


def generations(run: RunPaths, task: str) -> list[dict[str, Any]]:
    paths, _ = newest_by_task(run)[task]
    return list(read_all(paths.generations))


def test_each_task_has_an_evaluation_of_its_own(run: RunPaths) -> None:
    found = newest_by_task(run)
    assert list(found) == ["list", "sst2", "sst2-likelihood"]
    assert len(evaluations(run)) == 4
    assert [len(generations(run, task)) for task in found] == [2, 7, 7]
    assert {g["finish"] for g in generations(run, "sst2-likelihood")} == {"stop"}
    assert all(g["tokens"] <= 3 for g in generations(run, "sst2"))
    assert all(g["references"] == [] and g["nll"] is None for g in generations(run, "list"))
    (_, spec) = found["sst2-likelihood"]
    assert (spec["mode"], spec["labels"]) == ("likelihood", ["negative", "positive"])


@pytest.mark.filterwarnings(PEFT_ASKS)
def test_the_likelihoods_are_the_models_own(run: RunPaths) -> None:
    from lab.data.prepare import prepare
    from lab.evaluation.tasks.prepare import prepare_tasks
    from lab.modeling.load import load_tokenizer
    from lab.modeling.source import resolve_model
    from lab.profile.load import load_profile

    profile = load_profile(str(run.profile)).profile
    tokenizer = load_tokenizer(resolve_model(profile.model.name))
    asked = prepare_tasks(profile, prepare(profile, tokenizer))[1]
    model = load_artifact(base(Path(profile.model.name)), run.adapter).eval()
    for record, tried in zip(generations(run, "sst2-likelihood"), asked.choices, strict=True):
        sums = {}
        for label, one in zip(asked.labels, tried, strict=True):
            ids = torch.tensor([one.input_ids])
            with torch.inference_mode():
                chances = model(input_ids=ids).logits[0].log_softmax(-1)
            places = [place for place, token in enumerate(one.labels) if token >= 0]
            sums[label] = -sum(float(chances[place - 1, one.input_ids[place]]) for place in places)
        assert record["labels"] == pytest.approx(sums, rel=1e-4)
        assert record["answer"] == min(sums, key=sums.__getitem__)


def test_the_table_shows_the_tasks_metrics(run: RunPaths) -> None:
    table = build_table([load_entry(find_run(run.id))])
    labels = {column.key: (column.label, column.better) for column in table.columns}
    assert labels["sst2/accuracy"] == ("sst2 accuracy", "higher")
    assert "sst2-likelihood/macro_f1" in labels
    metric = table.entries[0].metrics["sst2-likelihood/accuracy"]
    right = [g["answer"] in g["references"] for g in generations(run, "sst2-likelihood")]
    assert metric["value"] == pytest.approx(sum(right) / 7)
    assert "mode:likelihood" in metric["signature"]
    summary = (read_json(run.state) or {})["summary"]
    assert summary["metrics"]["sst2-likelihood/accuracy"] == pytest.approx(metric["value"])
    assert summary["cost"]["generated_tokens_per_second"] is not None  # of the test rows, not of the last task


def test_other_rows_of_a_task_may_not_be_compared(run: RunPaths) -> None:
    from dataclasses import replace

    entry = load_entry(find_run(run.id))
    key = "sst2/accuracy"
    metrics = {**entry.metrics, key: {**entry.metrics[key], "signature": "other|rows:00000000"}}
    table = build_table([entry, replace(entry, id="other", metrics=metrics)])
    assert [f.key for f in table.findings if f.level == "blocking"] == [f"signature.{key}"]


def test_a_job_answers_only_what_is_new_and_scores_are_the_same_again(run: RunPaths) -> None:
    before = {paths.folder.name: paths.generations.stat().st_mtime_ns for paths in evaluations(run)}
    job = start_evaluation(find_run(run.id), ['evaluate.task=[{name = "general-prompts", rows = 2}]'])
    assert wait_ended(job)["state"] == "completed"
    after = {paths.folder.name: paths.generations.stat().st_mtime_ns for paths in evaluations(run)}
    assert {name: after[name] for name in before} == before
    assert len(after) == 5
    for paths in answered_evaluations(run):
        metrics = read_json(paths.metrics) or {}
        paths.metrics.unlink()
        rescore(run, paths)
        assert (read_json(paths.metrics) or {})["metrics"] == metrics["metrics"]


def test_the_command_prints_the_tasks(run: RunPaths, capsys: pytest.CaptureFixture[str]) -> None:
    assert lab(["compare", run.id, "--json"]) == 0
    (row,) = [r for r in json.loads(capsys.readouterr().out)["rows"] if r["run"] == run.id]
    assert "sst2/macro_f1" in row["metrics"]


def test_merged_weights_answer_under_a_spec_of_their_own(run: RunPaths) -> None:
    job = start_evaluation(find_run(run.id), ["evaluate.weights=merged-bf16", "evaluate.task=[]"])
    state = wait_ended(job)
    assert state["state"] == "completed", state
    newest = read_json(evaluations(run)[-1].spec) or {}
    assert (newest["weights"], newest["dtype"], newest["quantization"]) == ("merged-bf16", "bf16", "none")
    assert len(list(read_all(evaluations(run)[-1].generations))) == 8

"""`lab bench inference` and `lab bench generation` on a tiny run: every figure is there, or a dash and the reason."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.bench import inference
from lab.bench.answering import Form, open_answerer
from lab.bench.inference import Cost, forms_of, gguf_files
from lab.bench.inference_report import HEADER, line_of, metric_of
from lab.cli.app import run as lab
from lab.exporting import llamacpp
from lab.exporting.job import export
from lab.profile.load import load_profile
from lab.runs.paths import RunPaths
from lab.runs.store import find_run
from tests.fixtures.tiny_families import save_family
from tests.fixtures.tiny_model import PEFT_ASKS, logits
from tests.fixtures.untrained import finish, job, untrained, write_rows

pytestmark = pytest.mark.filterwarnings(PEFT_ASKS)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunPaths]:
    folder = tmp_path_factory.mktemp("bench")
    save_family(folder / "model", "smollm2")
    write_rows(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_HOME", str(folder / "home"))
        yield finish(folder / "home/runs", untrained(folder, "method.kind=qlora"))


def test_the_forms_are_bases_adapter_and_merged(run: RunPaths) -> None:
    assert forms_of(find_run(run.id)) == [
        Form("base"),
        Form("base nf4", quantization="nf4"),
        Form("adapter on nf4", quantization="nf4", tuned=True),
        Form("merged fp32", "fp32", "nf4", tuned=True, plain=True),
        Form("merged bf16", "bf16", "nf4", tuned=True, plain=True),
    ]


def test_a_form_is_measured_in_a_process_of_its_own(run: RunPaths, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["bench", "inference", run.id, "--rows", "3", "--tokens", "4", "--only", "adapter", "--json"]
    assert lab(command) == 0
    (form,) = json.loads(capsys.readouterr().out)["forms"]
    assert (form["name"], form["failed"]) == ("adapter on nf4", "")
    assert form["seconds_per_prompt"] > 0
    assert set(form["tokens_per_second"]) == set(form["first_token_seconds"]) == {"1", "16"}
    assert all(value > 0 for value in [*form["tokens_per_second"].values(), *form["first_token_seconds"].values()])
    assert form["memory_bytes"] > 10_000_000
    assert form["memory_kind"] == "resident set"
    assert "exact_match" in form["quality"]
    assert "perplexity" not in form["quality"]


def test_each_form_loads_what_its_name_says(run: RunPaths) -> None:
    asked = inference.questions(run, 2, 4)
    said = {}
    for form in forms_of(find_run(run.id)):
        if form.name != "merged bf16":  # computes in bf16, which takes a process that was told what this CPU can do
            answerer, dtype = open_answerer(run, form, asked.stop_ids, asked.decoding)
            said[form.name] = logits(answerer.model)
            assert dtype == "fp32" or form.dtype == "auto"
    assert (said["adapter on nf4"] - said["merged fp32"]).abs().max() < 1e-3
    assert (said["base nf4"] - said["adapter on nf4"]).abs().max() > 0.01
    assert (said["base nf4"] - said["base"]).abs().max() > 0.01


@pytest.mark.skipif(not llamacpp.installed(), reason="the extra gguf is not installed")
def test_exported_files_stand_beside_them(run: RunPaths, tmp_path: Path) -> None:
    made, writer = job(run, tmp_path / "out", "gguf", types=("f16",), score=False)
    try:
        assert export(made, run, writer, load_profile(str(run.profile)).profile, "cpu", lambda: False)
    finally:
        writer.close()
    assert list(gguf_files(run)) == ["gguf f16"]
    (cost,) = inference.measure(find_run(run.id), 3, 4, ["gguf"])
    assert (cost.dtype, cost.failed) == ("f16", "")
    assert cost.tokens_per_second is not None
    assert cost.tokens_per_second["1"] > 0  # type: ignore[operator]
    assert cost.file_bytes == gguf_files(run)["gguf f16"].stat().st_size
    assert cost.quality is not None


def test_a_form_that_cannot_be_measured_is_named_and_the_command_fails(
    run: RunPaths, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from lab.errors import LabError

    def fail(*_: object) -> Cost:
        raise LabError("It does not fit.", "Nothing helps.")

    monkeypatch.setattr(inference, "_torch", fail)
    assert lab(["bench", "inference", run.id, "--only", "base nf4"]) == 1
    shown = capsys.readouterr()
    assert "It does not fit." in shown.out
    assert "1 of 1 could not be measured" in shown.err


def test_unknown_forms_and_living_runs_are_refused(run: RunPaths, capsys: pytest.CaptureFixture[str]) -> None:
    assert lab(["bench", "inference", run.id, "--only", "sideways"]) == 3
    assert "merged bf16" in capsys.readouterr().err


def test_a_row_shows_a_dash_where_nothing_was_measured() -> None:
    costs = [Cost("a", "f16", 1.5, {"1": 20.0}, {"1": 0.25}, 5_000_000, "", 1_000_000, {"rougeL": 0.5, "bleu": 0.1})]
    assert metric_of(costs) == "bleu"
    line = line_of(costs[0], "bleu")
    assert len(line) == len(HEADER) + 2
    assert line[2:7] == ("1.50", "20.0", "-", "0.250", "-")
    assert line_of(Cost("b", failed="No."), "")[2:] == (*["-"] * 8, "No.")


def test_batches_race_one_by_one_and_say_the_same(run: RunPaths, capsys: pytest.CaptureFixture[str]) -> None:
    assert lab(["bench", "generation", run.id, "--rows", "6", "--tokens", "4", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rows"], found["batch"], found["same"], found["target"]) == (6, 6, 1.0, 5.0)
    assert found["ratio"] == pytest.approx(found["batched"] / found["one_by_one"])

"""Real processes on a tiny random model: the speed of a machine, the estimate from it, the plan of a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.cli.estimate import estimate_study
from lab.errors import LabError
from lab.profile.dump import to_toml
from lab.profile.load import Resolved, resolve
from tests.fixtures.tiny_llama import save_tiny_llama


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model and twelve rows of chat."""
    folder = tmp_path_factory.mktemp("tiny")
    save_tiny_llama(folder / "model")
    rows = [{"prompt": f"How are you, number {n}?", "completion": f"fine, {n}"} for n in range(12)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def tiny(folder: Path, *sets: str) -> Resolved:
    tree = {
        "model": {"name": str(folder / "model")},
        "method": {"kind": "lora", "rank": 4},
        "data": {"source": [{"name": str(folder / "rows.jsonl"), "validation": 2, "test": 4}], "system_prompt": "Hi."},
        "train": {"epochs": 2, "examples_per_step": 4, "eval_every": 1, "threads": 1},
        "evaluate": {"max_new_tokens": 8},
        "launch": {"gpus": 0},
    }
    return resolve("tiny", tree, {}, sets)


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", module, *arguments],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def write_profile(folder: Path, *sets: str, name: str = "tiny") -> str:
    path = folder / f"{name}.toml"
    path.write_text(to_toml(tiny(folder, *sets).profile))
    return str(path)


def test_training_reading_and_answering_are_timed(folder: Path) -> None:
    profiles = [write_profile(folder), write_profile(folder, "method.kind=baseline", name="untuned")]
    done = run("lab.bench.speed", *profiles, "--seconds", "1")
    assert done.returncode == 0, done.stderr
    tuned, untuned = (json.loads(line) for line in done.stdout.splitlines())
    assert (tuned["profile"], tuned["method"], tuned["device"]) == ("tiny", "lora", "cpu")
    assert all(value > 0 for value in tuned["speeds"].values())
    assert tuned["work"]["steps"] == 4
    assert tuned["work"]["train"] > 0
    assert tuned["work"]["answers"] == 4 * 8
    assert untuned["speeds"].pop("train_tokens_per_second") is None
    assert untuned["speeds"].pop("step_seconds") == 0.0
    # they share a base, and passes without gradients were timed once
    for shared in ("load_seconds", "forward_tokens_per_second", "generated_tokens_per_second"):
        assert untuned["speeds"][shared] == tuned["speeds"][shared] > 0
    assert (untuned["work"]["train"], untuned["work"]["answers"]) == (0, 4 * 8)
    assert 0 < untuned["work"]["forward"] < tuned["work"]["forward"], "it is not validated"


@pytest.mark.parametrize("kind", ["full", "top-layer"])
def test_a_base_that_trained_itself_is_loaded_anew(folder: Path, kind: str) -> None:
    profiles = [write_profile(folder, f"method.kind={kind}"), write_profile(folder, name="lora")]
    done = run("lab.bench.speed", *profiles, "--seconds", "0.1")
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        assert all(value > 0 for value in json.loads(line)["speeds"].values())


def test_the_estimate_adds_up_what_the_child_measured(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    seconds = estimate_study([tiny(folder), tiny(folder, "method.kind=qlora"), tiny(folder)], seconds=0.3)
    assert seconds is not None
    assert 3 < seconds < 600


def test_what_a_worker_would_fail_with_reaches_the_caller(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="does not exist"):
        estimate_study([tiny(folder, f"model.name={tmp_path / 'nowhere'}")])


def test_a_plan_tells_data_recipe_steps_and_sizes_without_weights(folder: Path, tmp_path: Path) -> None:
    unloadable = save_tiny_llama(tmp_path / "model", weights=False)
    profile = write_profile(folder, f"model.name={unloadable}")
    done = run("lab", "plan", profile, "--json")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert {name: split["rows"] for name, split in plan["data"]["splits"].items()} == {
        "train": 6,
        "validation": 2,
        "test": 4,
    }
    assert plan["steps"]["total"] == 4
    assert plan["steps"]["validations"] == 4
    assert plan["recipe"]["micro_batch"]["value"] == 4
    # embedding 259 x 64, per layer q 64x64, k and v 64x32, o 64x64, three of 64x128, two norms; the last norm
    layer = 64 * 64 * 2 + 64 * 32 * 2 + 3 * 64 * 128 + 2 * 64
    assert plan["parameters"]["total"] == 259 * 64 + 2 * layer + 64
    assert plan["parameters"]["trainable"] == 2 * 4 * (128 + 96 + 96 + 128 + 3 * 192)
    memory = plan["memory"]
    parts = ("weights", "trainable", "activations", "temporary", "overhead")
    assert memory["total"] == sum(memory[part] for part in parts)
    assert memory["trainable"] == 16 * plan["parameters"]["trainable"]
    assert memory["fits"] is True


def test_a_plan_for_people_marks_what_is_learnt(folder: Path) -> None:
    done = run("lab", "plan", write_profile(folder))
    assert done.returncode == 0, done.stderr
    learnt = [line for line in done.stdout.splitlines() if "[[" in line and "Example" not in line]
    assert len(learnt) == 1
    assert learnt[0].strip().startswith("[[fine, ")
    assert learnt[0].strip().endswith("<|im_end|>]]")
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_a_plan_for_data_that_is_not_fit_shows_the_report_and_fails(folder: Path) -> None:
    done = run("lab", "plan", write_profile(folder), "--set", "data.max_length=40", "--json")
    assert done.returncode == 2
    plan = json.loads(done.stdout)
    assert plan["data"]["sources"][0]["dropped"]["overlong"] == 12
    assert plan["refused"]["problem"] in done.stderr
    assert "steps" not in plan


def test_a_model_that_cannot_be_reached_has_the_sizes_of_its_name(folder: Path) -> None:
    profile = write_profile(folder, "model.name=meta-llama/Llama-3.2-1B", "data.source.0.train=6")
    done = run("lab", "plan", profile, "--json")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert plan["data"] is None
    assert "HF_HUB_OFFLINE" in plan["unread"]["problem"]
    assert plan["unread"]["problem"] in done.stderr
    assert plan["parameters"]["total"] == 1_235_814_400
    assert plan["memory"]["weights"] > 2 * 1_235_814_400
    assert plan["steps"]["total"] == 4


def test_a_file_that_is_missing_is_refused(folder: Path) -> None:
    done = run("lab", "plan", write_profile(folder), "--set", "data.source.0.name=nowhere.jsonl")
    assert done.returncode == 3
    assert "There is no data file 'nowhere.jsonl'." in done.stderr
    assert done.stdout == ""

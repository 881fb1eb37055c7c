"""The worker as it is: real processes on a tiny random model, killed, stopped, starved and fed with nonsense."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from lab.launching.jobs import start_evaluation
from lab.launching.resume import resume
from lab.launching.stop import ask
from lab.runs.history import read_history
from lab.runs.lock import holder
from lab.runs.paths import RunPaths, complete_checkpoints, evaluations
from lab.runs.reader import Tail, read_all, read_json
from lab.runs.state import read_state
from lab.runs.store import find_run
from tests.fixtures.tiny_runs import events, losses, start_tiny, tiny_study, wait_ended, wait_until


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny")
    tiny_study(path)
    return path


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LAB_DEVICE_LOCKS", str(tmp_path / "locks"))


@pytest.fixture(scope="module")
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> RunPaths:
    """One run that nobody disturbed."""
    place = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_HOME", str(place / "home"))
        patch.setenv("LAB_DEVICE_LOCKS", str(place / "locks"))
        run = start_tiny(folder)
        assert wait_ended(run)["state"] == "completed", run.log.read_text()
    return run


def kill(run: RunPaths) -> None:
    who = holder(run.lock)
    assert who is not None
    os.kill(who.pid, signal.SIGKILL)


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 4096)


def test_a_run_leaves_all_that_it_promises(whole: RunPaths) -> None:
    state = read_state(whole)
    assert (state["step"], state["total_steps"], state["attempt"]) == (12, 12, 1)
    assert state["facts"]["trainable_parameters"] > 0
    assert state["summary"]["cost"]["train_tokens"] == sum(r["tokens"] for r in events(whole, "step"))
    assert state["summary"]["cost"]["energy_wh"] is None, "no GPU: no watts"
    names = {path.name for path in whole.folder.iterdir()}
    assert names >= {"profile.toml", "origin.json", "recipe.json", "environment.json", "data.json", "adapter"}
    assert "reserve" not in names
    assert [e["step"] for e in events(whole, "eval")] == [5, 10, 12], "and at the end"
    assert complete_checkpoints(whole)[-1].name == "checkpoint-12"
    (evaluation,) = evaluations(whole)
    assert len(list(read_all(evaluation.generations))) == 8
    assert (read_json(evaluation.metrics) or {})["metrics"]["perplexity"]["value"] > 1
    assert all(sample["gpus"] is None for sample in read_all(whole.telemetry))
    assert str(Path.home()) not in (whole.adapter / "adapter_config.json").read_text()


def test_each_step_sees_exactly_the_rows_asked_for(whole: RunPaths) -> None:
    assert {record["examples"] for record in events(whole, "step")} == {4}
    loss = losses(whole)
    assert loss[12] < loss[1]


def test_a_killed_worker_is_lost_at_once_and_its_resume_ends_bitwise_the_same(folder: Path, whole: RunPaths) -> None:
    run = start_tiny(folder)
    wait_until(lambda: any(r["step"] >= 7 for r in events(run, "step")))
    kill(run)
    killed = time.monotonic()
    wait_until(lambda: read_state(run)["state"] == "lost", patience=2)
    assert time.monotonic() - killed < 2
    told = len(events(run, "step"))
    resumed = resume(find_run(run.id))
    assert resumed.checkpoint in ("checkpoint-6", "checkpoint-9")
    assert wait_ended(run)["state"] == "completed", run.log.read_text()
    assert losses(run) == losses(whole)
    assert len(events(run, "step")) > told, "what the first attempt said is still there"
    history = read_history(run)
    assert history.steps == list(range(1, 13))
    assert history.tokens > read_history(whole).tokens, "replayed steps still cost"
    first, second = (next(read_all(evaluations(r)[0].generations)) for r in (run, whole))
    assert first["answer"] == second["answer"]


def test_asked_to_stop_it_saves_and_goes_on_from_there(folder: Path, whole: RunPaths) -> None:
    run = start_tiny(folder)
    wait_until(lambda: bool(events(run, "step")))
    ask(run, "a test")
    state = wait_ended(run)
    assert state["state"] == "stopped"
    assert state["end"]["reason"] == "stopped by a test"
    step = max(losses(run))
    assert complete_checkpoints(run)[-1].name == f"checkpoint-{step}"
    assert (run.adapter / "adapter_model.safetensors").is_file()
    resume(find_run(run.id))
    assert wait_ended(run)["state"] == "completed"
    assert losses(run) == losses(whole)


def test_a_wish_while_it_waits_in_the_queue_is_heard(folder: Path) -> None:
    first = start_tiny(folder)
    wait_until(lambda: read_state(first)["state"] != "queued")
    second = start_tiny(folder)
    wait_until(lambda: "behind" in str(read_state(second).get("detail")))
    ask(second, "a test")
    assert wait_ended(second)["state"] == "stopped"
    kill(first)


def test_sigterm_ends_it_in_order(folder: Path) -> None:
    run = start_tiny(folder)
    wait_until(lambda: bool(events(run, "step")))
    who = holder(run.lock)
    assert who is not None
    os.kill(who.pid, signal.SIGTERM)
    assert wait_ended(run)["state"] == "stopped"
    assert events(run, "end")[-1]["reason"] == "terminated (SIGTERM)"


def test_a_loss_that_is_no_number_fails_with_two_sentences(folder: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    broken = tmp_path / "broken"
    subprocess.run(["cp", "-r", str(folder / "model"), str(broken)], check=True)
    weights = load_file(broken / "model.safetensors")
    weights["model.norm.weight"] = torch.full_like(weights["model.norm.weight"], float("nan"))
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    run = start_tiny(folder, f"model.name={broken}")
    state = wait_ended(run)
    assert state["state"] == "failed"
    assert "nan" in state["end"]["reason"]
    assert "over rows" in state["end"]["reason"]
    assert "learning_rate" in state["end"]["remedy"]
    assert events(run, "step")[0]["loss"] == "nan"
    assert not run.adapter.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_on_a_full_disk_the_end_is_still_written(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=210m", "tmpfs", str(small)], check=False)
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    monkeypatch.setenv("LAB_HOME", str(small))
    try:
        run = start_tiny(folder)
        (small / "ballast").write_bytes(bytes(180 << 20))  # now: what is left must be full before the last step
        wait_until(lambda: bool(events(run, "step")))
        with pytest.raises(OSError, match="space"):
            fill(small / "rest")
        state = wait_ended(run)
        assert state["state"] == "failed"
        assert "space" in state["end"]["reason"].lower()
        assert events(run, "end")[-1]["outcome"] == "failed"
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_an_evaluation_job_leaves_the_run_as_it_ended(
    folder: Path, whole: RunPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_HOME", str(whole.folder.parent.parent))
    before = whole.state.read_text()
    job = start_evaluation(find_run(whole.id), ["evaluate.rows=4"])
    assert wait_ended(job)["state"] == "completed", job.log.read_text()
    assert whole.state.read_text() == before
    assert [len(list(read_all(e.generations))) for e in evaluations(whole)] == [8, 4]


def test_a_baseline_answers_and_trains_nothing(folder: Path) -> None:
    run = start_tiny(folder, "method.kind=baseline")
    state = wait_ended(run)
    assert state["state"] == "completed", run.log.read_text()
    assert state["summary"]["metrics"]["perplexity"] > 1
    assert not run.adapter.exists()
    assert not events(run, "step")


def test_qlora_trains_fp32_adapters_over_a_4_bit_base(folder: Path) -> None:
    from safetensors.torch import load_file

    run = start_tiny(folder, "method.kind=qlora", "train.max_steps=4")
    assert wait_ended(run)["state"] == "completed", run.log.read_text()
    weights = load_file(run.adapter / "adapter_model.safetensors")
    assert {str(tensor.dtype) for tensor in weights.values()} == {"torch.float32"}
    perplexity = read_state(run)["summary"]["metrics"]["perplexity"]
    assert perplexity < 1000, "the model that answers is the one that was trained"


def test_no_event_is_lost_whenever_it_is_killed(folder: Path) -> None:
    run = start_tiny(folder)
    seen: list[dict[str, object]] = []
    tail = Tail(run.events)
    for step in (1, 4, 8):
        wait_until(lambda step=step: any(r["step"] >= step for r in events(run, "step")))
        kill(run)
        wait_until(lambda: read_state(run)["state"] == "lost", patience=2)
        seen += tail.read()
        resume(find_run(run.id))
    assert wait_ended(run)["state"] == "completed"
    seen += tail.read()
    assert seen == list(read_all(run.events))
    assert read_history(run).steps == list(range(1, 13))
    assert read_state(run)["attempt"] == 4

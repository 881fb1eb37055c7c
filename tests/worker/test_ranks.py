"""A run on several processes: it learns what one process learns, and none of them outlives another."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file

from lab.launching.resume import resume
from lab.launching.stop import ask
from lab.runs.lock import holder
from lab.runs.paths import RunPaths, complete_checkpoints
from lab.runs.reader import read_json
from lab.runs.state import read_state
from lab.runs.store import find_run
from tests.fixtures.tiny_runs import events, losses, start_tiny, tiny_study, wait_ended, wait_until

ENDLESS = ("train.max_steps=5000", "train.save_every=0", "train.eval_every=0")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny")
    tiny_study(path)
    return path


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LAB_DEVICE_LOCKS", str(tmp_path / "locks"))


def members(run: RunPaths) -> list[psutil.Process]:
    """Return the processes that train with the worker."""
    who = holder(run.lock)
    assert who is not None
    return [p for p in psutil.Process(who.pid).children() if "lab.training.rank" in p.cmdline()]


def step_of(run: RunPaths) -> int:
    return int(read_state(run)["step"])


@pytest.mark.parametrize("sets", [(), ("method.kind=full", "train.tokens_per_step=300")])
def test_two_processes_learn_what_one_learns(folder: Path, sets: tuple[str, ...]) -> None:
    alone, both = (start_tiny(folder, *sets, f"launch.gpus={count}") for count in (1, 2))
    for run in (alone, both):
        assert wait_ended(run)["state"] == "completed", run.log.read_text()
    assert (read_json(both.recipe) or {})["choices"]["ranks"]["value"] == 2
    assert losses(both) == pytest.approx(losses(alone), abs=2e-5)
    for kind in ("step", "eval"):
        ours, theirs = events(both, kind), events(alone, kind)
        assert [e.get("tokens") for e in ours] == [e.get("tokens") for e in theirs]
        assert [e["loss"] for e in ours] == pytest.approx([e["loss"] for e in theirs], abs=2e-5)
    for file in alone.adapter.glob("*.safetensors"):
        for name, tensor in load_file(file).items():
            torch.testing.assert_close(load_file(both.adapter / file.name)[name], tensor, atol=2e-4, rtol=1e-3)


def test_steps_with_fewer_rows_than_processes(folder: Path) -> None:
    run = start_tiny(folder, "train.examples_per_step=1", "train.micro_batch=0", "train.max_steps=3", "launch.gpus=2")
    assert wait_ended(run)["state"] == "completed", run.log.read_text()
    assert len(losses(run)) == 3


def test_a_wish_to_stop_reaches_all_and_a_resume_goes_on(folder: Path) -> None:
    run = start_tiny(folder, *ENDLESS, "launch.gpus=2")
    wait_until(lambda: step_of(run) >= 3)
    together = members(run)
    assert len(together) == 1
    ask(run, "tests")
    assert wait_ended(run)["state"] == "stopped", run.log.read_text()
    assert not any(p.is_running() for p in together)
    reached = int(complete_checkpoints(run)[-1].name.rpartition("-")[2])
    assert reached == step_of(run)
    resume(find_run(run.id), ["launch.gpus=1"])
    wait_until(lambda: step_of(run) >= reached + 3)
    assert not members(run), "a run may go on with fewer"
    ask(run, "tests")
    assert wait_ended(run)["state"] == "stopped", run.log.read_text()
    assert events(run, "resume")[-1]["from_step"] == reached


def test_the_death_of_one_process_ends_the_run_and_says_so(folder: Path) -> None:
    run = start_tiny(folder, *ENDLESS, "launch.gpus=2")
    wait_until(lambda: step_of(run) >= 3)
    (member,) = members(run)
    member.kill()
    state = wait_ended(run)
    assert state["state"] == "failed"
    assert "Process 2 of the 2 that trained this run has died: it ended with status -9" in state["end"]["reason"]


def test_no_process_outlives_the_worker(folder: Path) -> None:
    run = start_tiny(folder, *ENDLESS, "launch.gpus=2")
    wait_until(lambda: step_of(run) >= 3)
    (member,) = members(run)
    who = holder(run.lock)
    assert who is not None
    os.kill(who.pid, signal.SIGKILL)
    wait_until(lambda: not member.is_running() or member.status() == psutil.STATUS_ZOMBIE)
    wait_until(lambda: read_state(run)["state"] == "lost")


def test_a_sigterm_for_all_is_answered_by_the_leader_alone(folder: Path) -> None:
    run = start_tiny(folder, *ENDLESS, "launch.gpus=2")
    wait_until(lambda: step_of(run) >= 3)
    who = holder(run.lock)
    assert who is not None
    os.killpg(who.pid, signal.SIGTERM)
    state = wait_ended(run)
    assert (state["state"], state["end"]["reason"]) == ("stopped", "terminated (SIGTERM)"), run.log.read_text()

"""Runs that build on runs: how a profile names them, and how a worker waits for them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from lab import atomic
from lab.errors import LabError, NotFoundError, ProfileError, RunStateError, UsageError
from lab.launching.earlier import pin, place_for, references, wait_for_earlier
from lab.profile.load import Resolved, resolve
from lab.runs import lock
from lab.runs.lineage import built_on, earlier_run
from lab.runs.paths import RunPaths
from tests.fixtures.folders import make_run


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAB_HOME", str(tmp_path))
    monkeypatch.setenv("LAB_DEVICE_LOCKS", str(tmp_path / "locks"))
    return tmp_path


def profile(*sets: str) -> Resolved:
    return resolve("fake", {"data": {"source": [{"name": "bundled:helpdesk"}]}}, {}, sets)


def test_a_part_of_an_id_becomes_the_whole_and_stays_relocatable(home: Path) -> None:
    run = make_run(home, "lora")
    part = run.id.rpartition("-")[2]
    before = profile(f"model.adapter=run:{part}", f"method.orthogonal_to=run:{part}", "model.adapter_mode=merge")
    after = pin(before)
    assert references(after.profile) == dict.fromkeys(("model.adapter", "method.orthogonal_to"), f"run:{run.id}")
    assert (after.hash != before.hash, after.origins) == (True, before.origins)
    assert pin(profile()).hash == profile().hash


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ("previous", ProfileError, "means something in a stage"),
        ("run:nowhere", NotFoundError, "No run is called 'nowhere'"),
        ("run:20270115", UsageError, "fits 3 runs"),
        ("run:20270115-0800-stopped", RunStateError, "is stopped.*runs resume"),
        ("run:20270115-0800-baseline", RunStateError, "is a baseline and trained nothing"),
    ],
)
def test_what_cannot_be_built_on_is_refused(home: Path, value: str, error: type[LabError], message: str) -> None:
    make_run(home, "lora")
    make_run(home, "stopped", state="stopped")
    make_run(home, "baseline")
    with pytest.raises(error, match=message):
        pin(profile(f"model.adapter={value}"))


@pytest.mark.parametrize("value", ["7f3a", "/tmp/x", "run:", "run:a/b", "runs:x"])
def test_other_words_are_no_run(value: str) -> None:
    with pytest.raises(ProfileError, match=r"model\.adapter"):
        profile(f"model.adapter={value}")


def wait(run: RunPaths, stop: Any = lambda: False, **about: Any) -> tuple[bool, list[str]]:
    said: list[str] = []
    resolved = profile(*(f"{key}={value}" for key, value in about.items()))
    return wait_for_earlier(run, resolved.profile, waiting=said.append, should_stop=stop, poll=0.001), said


def test_a_worker_waits_until_the_earlier_run_has_ended(home: Path) -> None:
    first, second = make_run(home, "lora", state="training"), make_run(home, "second")
    adapter = {"model.adapter": f"run:{first.id}"}
    handle = lock.acquire(first.lock)
    polls: list[int] = []

    def stop() -> bool:
        polls.append(1)
        if len(polls) == 3:
            state = {"id": first.id, "state": "completed", "attempt": 1}
            atomic.write_json(first.state, state)
            os.close(handle)
        return False

    assert wait(second, stop, **adapter) == (True, [f"waiting for {first.id}"])
    assert len(polls) == 3
    assert wait(second, **adapter) == (True, [])
    assert wait(second) == (True, [])


def test_a_worker_that_waits_can_be_stopped(home: Path) -> None:
    first, second = make_run(home, "lora", state="training", events=()), make_run(home, "second")
    handle = lock.acquire(first.lock)
    assert wait(second, lambda: True, **{"model.adapter": f"run:{first.id}"})[0] is False
    os.close(handle)


@pytest.mark.parametrize("state", ["failed", "stopped", "lost"])
def test_a_bad_end_is_told_in_two_sentences(home: Path, state: str) -> None:
    first = make_run(home, "lora", state="training" if state == "lost" else state, events=())
    with pytest.raises(RunStateError) as caught:
        wait(make_run(home, "second"), **{"method.orthogonal_to": f"run:{first.id}"})
    assert caught.value.problem == f"{first.id}, on which this run builds, is {state}."
    assert f"lab runs resume {first.id}" in caught.value.remedy


def test_only_a_run_that_need_not_wait_takes_a_place(home: Path) -> None:
    run = make_run(home, "lora")
    assert place_for(run, profile(f"model.adapter=run:{run.id}").profile) is None
    place = place_for(run, profile("launch.gpus=0").profile)
    assert place is not None
    assert place.ticket.locks == ("cpu.lock",)
    place.leave()


def test_the_earlier_run_is_found_beside_or_at_home(home: Path, tmp_path: Path) -> None:
    run = make_run(home, "lora")
    copied = make_run(tmp_path / "laptop", "lora")
    other = make_run(tmp_path / "laptop", "second")
    assert earlier_run(other, f"run:{copied.id}") == copied
    assert earlier_run(RunPaths(tmp_path / "far" / "away"), run.id) == run
    for name in ("run:gone", "run:..", "../runs"):
        with pytest.raises(NotFoundError, match=r"builds on the run .*, which is not here"):
            earlier_run(other, name)


def test_who_is_built_on_a_run(home: Path) -> None:
    first = make_run(home, "lora")
    second = make_run(home, "second", profile={"model": {"adapter": f"run:{first.id}"}})
    assert built_on(first) == [second.id]
    assert built_on(second) == []

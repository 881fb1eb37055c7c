"""`kill -9` at random moments of the front, of the worker, of both: nothing told is lost, and the run ends well.

`LAB_TEST_KILLS` says how often (6 unless told). The moments come from a fixed seed; the pace of the machine varies.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.launching.resume import resume
from lab.profile.dump import to_toml
from lab.runs.lock import holder
from lab.runs.paths import RunPaths, evaluations
from lab.runs.reader import Tail, read_all
from lab.runs.state import LIVE, read_state
from lab.runs.store import find_run, list_runs
from tests.fixtures.tiny_runs import events, losses, start_tiny, tiny, tiny_study, wait_ended, wait_until

KILLS = int(os.environ.get("LAB_TEST_KILLS", "6"))
SEED = 20
TARGETS = ("front", "worker", "both")


def start_front(folder: Path, place: Path) -> tuple[subprocess.Popen[bytes], RunPaths]:
    """Start `lab train` as a user does, following its run; return it and the run that it made."""
    profile = folder / "tiny.toml"
    profile.write_text(to_toml(tiny(folder).profile))
    known = {info.id for info in list_runs()}
    with (place / "front.log").open("ab") as log:
        front = subprocess.Popen(
            [sys.executable, "-m", "lab", "train", str(profile)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    wait_until(lambda: len(list_runs()) > len(known))
    return front, next(info.run for info in list_runs() if info.id not in known)


def end(front: subprocess.Popen[bytes]) -> None:
    front.kill()
    front.wait()


def shoot(target: str, front: subprocess.Popen[bytes], run: RunPaths) -> None:
    """Kill the process or the processes that `target` names, and see what that did to the folder."""
    told = run.events.read_bytes() if run.events.exists() else b""
    who = holder(run.lock)
    if target != "worker":
        end(front)
    if target != "front" and who is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(who.pid, signal.SIGKILL)
        wait_until(lambda: read_state(run)["state"] not in LIVE, patience=2)
    whole = told[: told.rfind(b"\n") + 1]
    assert run.events.read_bytes().startswith(whole), "an event was lost or rewritten"


def compare(run: RunPaths, whole: RunPaths) -> None:
    """Hold a run that was shot at against one that was not: the same losses bitwise, the same answers."""
    assert losses(run) == losses(whole)
    first, second = (list(read_all(evaluations(one)[0].generations)) for one in (run, whole))
    assert [one["answer"] for one in first] == [one["answer"] for one in second]
    tail = Tail(run.events)
    while tail.read():
        pass
    assert tail.skipped <= KILLS, "at most one torn line a kill"
    assert events(run, "end")[-1]["outcome"] == "completed"


def test_random_kills_lose_nothing(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("tiny")
    tiny_study(folder)
    monkeypatch.setenv("LAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LAB_DEVICE_LOCKS", str(tmp_path / "locks"))
    whole = start_tiny(folder)
    state = wait_ended(whole)
    assert state["state"] == "completed"
    moments = random.Random(SEED)
    front, run = start_front(folder, tmp_path)
    for number in range(KILLS):
        time.sleep(moments.uniform(0.0, state["updated"] - state["created"]))
        shoot(TARGETS[number % len(TARGETS)], front, run)
        if read_state(run)["state"] == "completed":  # it was faster than the shot
            compare(run, whole)
            end(front)
            front, run = start_front(folder, tmp_path)
        elif not read_state(run)["alive"]:
            assert read_state(run)["state"] == "lost"
            resume(find_run(run.id))
    assert wait_ended(run)["state"] == "completed", run.log.read_text()
    compare(run, whole)
    end(front)

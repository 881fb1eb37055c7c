"""Real processes: the hand-over of the lock, death, the stop ladder, resume, the queue for devices."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from lab import atomic
from lab.errors import LabError, OutOfSpaceError, RunStateError
from lab.launching.local import start
from lab.launching.resume import resume
from lab.launching.stop import ask, kill, stop, terminate
from lab.profile.load import Resolved, resolve
from lab.runs import lock
from lab.runs.history import read_history
from lab.runs.labels import Labels
from lab.runs.paths import RunPaths
from lab.runs.reader import read_all
from lab.runs.state import read_state
from lab.runs.store import RunInfo, list_runs, read_run
from tests.fixtures.folders import complete_checkpoint

FIXTURES = Path(__file__).parents[1] / "fixtures"
FAKE_WORKER = (str(FIXTURES / "fake_worker.py"),)
FAKE_WAITER = str(FIXTURES / "fake_waiter.py")
PATIENCE = 20.0


def until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def profile(*sets: str) -> Resolved:
    return resolve("fake", {"data": {"source": [{"name": "bundled:helpdesk"}]}}, {}, sets)


def begin(mode: str = "", *sets: str) -> RunPaths:
    """Start a fake worker and wait until it trains."""
    run = start(profile(*sets), command=FAKE_WORKER, environment={"FAKE_WORKER": mode})
    until(lambda: state(run) in ("training", "completed", "failed", "lost"))
    return run


def state(run: RunPaths) -> str:
    return str(read_state(run).get("state"))


def info(run: RunPaths) -> RunInfo:
    found = read_run(run)
    assert found is not None
    return found


def worker_pid(run: RunPaths) -> int:
    who = lock.holder(run.lock)
    assert who is not None
    return who.pid


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LAB_DEVICE_LOCKS", str(tmp_path / "devices"))
    yield tmp_path
    for one in list_runs():
        if one.record["alive"]:
            kill(one)


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    """A process of a session of its own that nothing may hit by mistake."""
    process = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def test_front_leaves_and_the_worker_keeps_the_lock() -> None:
    code = "\n".join(
        [
            "import sys",
            "from lab.launching.local import start",
            "from lab.profile.load import resolve",
            "tree = {'data': {'source': [{'name': 'bundled:helpdesk'}]}}",
            f"print(start(resolve('fake', tree, {{}}), command={FAKE_WORKER!r}).folder)",
        ]
    )
    front = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    run = RunPaths(Path(front.stdout.strip()))
    assert read_state(run)["alive"] is True
    until(lambda: state(run) == "training")
    pid = worker_pid(run)
    assert (os.getsid(pid), os.getpgid(pid)) == (pid, pid)
    assert Path(f"/proc/{pid}/fd/0").readlink() == Path(os.devnull)
    assert Path(f"/proc/{pid}/fd/1").readlink() == run.log
    assert Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[4] == "0"  # no terminal
    assert read_state(run)["pid"] == pid


def test_lock_names_the_worker_as_soon_as_start_returns() -> None:
    run = start(profile(), command=FAKE_WORKER)
    who = lock.holder(run.lock)
    assert who is not None
    assert who.start_ticks == lock.start_ticks(who.pid) > 0
    assert state(run) in ("queued", "training")
    until(lambda: state(run) == "training")
    assert lock.holder(run.lock) == who  # what the worker writes itself is the same


def test_worker_gets_the_environment_and_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = begin("quick", "description=x")
    until(lambda: state(run) == "completed")
    assert run.log.read_text() == f"cwd {tmp_path} attempt 1\n"
    assert state(run) == "completed"  # and so the word in FAKE_WORKER has reached it


def test_no_zombie_is_left_while_the_front_lives() -> None:
    run = begin("quick")
    pid = worker_pid(run)
    until(lambda: not Path(f"/proc/{pid}").exists())


def test_killed_worker_is_lost_within_two_seconds() -> None:
    run = begin()
    os.kill(worker_pid(run), signal.SIGKILL)
    until(lambda: state(run) == "lost", seconds=2.0)
    assert list(read_all(run.events))[-1]["type"] != "end"


@pytest.mark.parametrize("mode", ["fork", "exec"])
def test_child_of_a_killed_worker_does_not_keep_the_lock(mode: str) -> None:
    run = begin(mode)
    child = int((run.folder / "child.pid").read_text())
    try:
        os.kill(worker_pid(run), signal.SIGKILL)
        until(lambda: state(run) == "lost", seconds=2.0)
        assert Path(f"/proc/{child}").exists()
    finally:
        os.kill(child, signal.SIGKILL)


def test_second_worker_on_the_folder_is_refused() -> None:
    run = begin()
    second = subprocess.run([sys.executable, *FAKE_WORKER, str(run.folder)], capture_output=True, text=True)
    assert second.returncode != 0
    assert f"Another worker holds {run.id}." in second.stderr
    with pytest.raises(RunStateError, match="only stopped, failed and lost"):
        resume(info(run), command=FAKE_WORKER)
    assert state(run) == "training"


def test_failed_start_leaves_no_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(home / "no-python"))
    with pytest.raises(LabError, match=r"could not be started .No such file") as caught:
        start(profile())
    assert caught.value.remedy
    assert list((home / "home" / "runs").iterdir()) == []


def test_asking_is_enough_for_a_worker_that_listens() -> None:
    run = begin()
    lines: list[str] = []
    stopped = stop(info(run), who="somebody", wait=PATIENCE, progress=lines.append)
    assert (stopped.rung, stopped.ended, stopped.state, stopped.usable) == ("asked", True, "stopped", None)
    assert len(lines) == 1
    assert json.loads(run.stop.read_text())["who"] == "somebody"


def test_without_force_a_deaf_worker_goes_on() -> None:
    run = begin("deaf")
    stopped = stop(info(run), who="somebody", wait=0.05)
    assert (stopped.rung, stopped.ended, stopped.state) == ("asked", False, "training")
    assert "still training" in stopped.line
    assert lock.is_held(run.lock)


def test_sigterm_ends_a_patient_worker_in_order() -> None:
    run = begin("patient")
    stopped = stop(info(run), who="somebody", wait=0.05, force=True, grace=PATIENCE)
    assert (stopped.rung, stopped.ended, stopped.state) == ("terminated", True, "stopped")


def test_ladder_reaches_sigkill_and_names_what_is_usable() -> None:
    run = begin("deaf")
    checkpoint = run.checkpoints / "checkpoint-20"
    checkpoint.mkdir(parents=True)
    complete_checkpoint(checkpoint)
    lines: list[str] = []
    stopped = stop(info(run), who="somebody", wait=0.05, force=True, grace=0.3, progress=lines.append)
    assert (stopped.rung, stopped.ended, stopped.state, stopped.usable) == ("killed", True, "lost", checkpoint)
    assert [line.split()[0] for line in lines] == ["asked:", "SIGTERM", "SIGKILL"]
    assert "checkpoints/checkpoint-20 is usable" in stopped.line


def test_full_disk_keeps_nobody_from_stopping(monkeypatch: pytest.MonkeyPatch) -> None:
    run = begin()

    def full(path: Path, value: object) -> None:
        raise OutOfSpaceError("No space is left.", "Free some.")

    monkeypatch.setattr(atomic, "write_json", full)
    with pytest.raises(OutOfSpaceError):
        stop(info(run), who="somebody", wait=PATIENCE)
    lines: list[str] = []
    stopped = stop(info(run), who="somebody", wait=PATIENCE, force=True, grace=PATIENCE, progress=lines.append)
    assert (stopped.rung, stopped.state) == ("terminated", "stopped")
    assert lines[0] == "No space is left. Free some."


def test_kill_takes_the_children_along() -> None:
    run = begin("exec")
    child = int((run.folder / "child.pid").read_text())
    kill(info(run))
    until(lambda: not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text().split()[2])


@pytest.mark.parametrize("send", [terminate, kill])
def test_no_signal_for_a_later_process_of_the_same_number(
    tmp_path: Path, victim: subprocess.Popen[bytes], send: Callable[[RunInfo], None]
) -> None:
    run = RunPaths(tmp_path)
    handle = lock.acquire(run.lock)
    who = replace(lock.this_process(), pid=victim.pid, start_ticks=lock.start_ticks(victim.pid) + 1)
    run.lock.write_text(json.dumps(asdict(who)))
    one = RunInfo(run, "training", {}, Labels())
    with pytest.raises(RunStateError, match="has gone"):
        send(one)
    assert victim.poll() is None
    run.lock.write_text(json.dumps(asdict(replace(who, start_ticks=who.start_ticks - 1))))
    send(one)  # the same process with its own start is hit: so it was the start that protected it
    assert victim.wait(PATIENCE) < 0
    os.close(handle)


def test_stop_of_a_run_that_nobody_works_on_is_refused() -> None:
    run = begin("quick")
    until(lambda: not lock.is_held(run.lock))
    for attempt in (lambda: ask(run, "me"), lambda: stop(info(run), who="me", wait=0), lambda: terminate(info(run))):
        with pytest.raises(RunStateError, match="Nobody works on"):
            attempt()
    assert not run.stop.exists()


def test_resume_of_a_lost_run_appends_a_new_attempt() -> None:
    run = begin()
    os.kill(worker_pid(run), signal.SIGKILL)
    until(lambda: state(run) == "lost")
    resumed = resume(info(run), command=FAKE_WORKER, environment={"FAKE_WORKER": "quick"})
    assert (resumed.attempt, resumed.checkpoint) == (2, None)
    assert "starts over from step 0" in resumed.line
    until(lambda: state(run) == "completed")
    history = read_history(run)
    assert [phase.attempt for phase in history.phases] == [1, 2]
    assert [line.split()[-1] for line in run.log.read_text().splitlines()] == ["1", "2"]


def test_resume_clears_the_wish_to_stop_and_goes_on_from_the_newest_complete_checkpoint() -> None:
    run = begin()
    assert stop(info(run), who="me", wait=PATIENCE).state == "stopped"
    for step in (5, 30, 200):
        folder = run.checkpoints / f"checkpoint-{step}"
        folder.mkdir(parents=True)
        if step < 200:
            complete_checkpoint(folder)
    resumed = resume(info(run), command=FAKE_WORKER)
    assert resumed.line == "attempt 2 goes on from step 30"
    until(lambda: state(run) == "training")
    assert not run.stop.exists()


def test_two_resumes_at_once_start_one_worker() -> None:
    run = begin("broken,quick")
    until(lambda: state(run) == "failed")
    seen = info(run)
    resume(seen, command=FAKE_WORKER)
    with pytest.raises(RunStateError):
        resume(seen, command=FAKE_WORKER)
    until(lambda: state(run) == "training")
    assert stop(info(run), who="me", wait=PATIENCE).ended
    with pytest.raises(RunStateError, match="resumed meanwhile"):
        resume(seen, command=FAKE_WORKER)
    assert read_state(run)["attempt"] == 2


def test_resume_that_cannot_start_leaves_the_run_as_it_was(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = begin("quick", "train.epochs=1")
    until(lambda: state(run) == "completed")
    before = {path: path.read_bytes() for path in (run.state, run.profile, run.origin)}
    monkeypatch.setattr(sys, "executable", str(home / "no-python"))
    with pytest.raises(LabError, match="could not be started"):
        resume(info(run), ["train.epochs=2"])
    assert {path: path.read_bytes() for path in before} == before
    assert state(run) == "completed"


def test_resume_finds_relative_files_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "rows.jsonl").write_text("{}\n")
    monkeypatch.chdir(folder)
    run = begin("broken,quick", "data.source.0.name=rows.jsonl")
    until(lambda: state(run) == "failed")
    monkeypatch.chdir(tmp_path)
    resume(info(run), command=FAKE_WORKER)
    until(lambda: state(run) == "training")
    assert [line.split()[1] for line in run.log.read_text().splitlines()] == [str(folder), str(folder)]


class Waiter:
    """A process in the queue; `line()` is the next thing it says."""

    def __init__(self, run: str, *uuids: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, FAKE_WAITER, run, *uuids], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self, *, hard: bool = False) -> None:
        if hard:
            self.process.kill()
        self.process.communicate(timeout=PATIENCE)


@pytest.fixture
def waiter() -> Iterator[Callable[..., Waiter]]:
    made: list[Waiter] = []

    def make(run: str, *uuids: str) -> Waiter:
        made.append(Waiter(run, *uuids))
        return made[-1]

    yield make
    for one in made:
        if one.process.poll() is None:
            one.end(hard=True)


@pytest.mark.parametrize(("uuids", "target"), [(("GPU-a",), "GPU 0"), ((), "the CPU")])
def test_queue_goes_by_age_and_passes_over_the_dead(
    waiter: Callable[..., Waiter], uuids: tuple[str, ...], target: str
) -> None:
    first = waiter("first", *uuids)
    assert first.line() == f"has {uuids[0] if uuids else 'cpu'}"
    killed = waiter("killed", *uuids)
    assert killed.line() == f"waiting for {target} behind first"
    second = waiter("second", *uuids)
    assert second.line() == f"waiting for {target} behind first, killed"
    third = waiter("third", *uuids)
    assert third.line() == f"waiting for {target} behind first, killed, second"
    killed.end(hard=True)
    assert second.line() == f"waiting for {target} behind first"
    assert third.line() == f"waiting for {target} behind first, second"
    first.end(hard=True)
    assert second.line().startswith("has ")
    assert third.line() == f"waiting for {target} behind second"
    second.end()
    assert third.line().startswith("has ")


def test_ticket_for_one_gpu_does_not_hold_up_those_who_see_another(waiter: Callable[..., Waiter]) -> None:
    assert waiter("on-a", "GPU-a").line() == "has GPU-a"
    assert waiter("for-a", "GPU-a").line() == "waiting for GPU 0 behind on-a"
    assert waiter("for-both", "GPU-a", "GPU-b").line() == "has GPU-b"
    last = waiter("for-any", "GPU-a", "GPU-b")
    assert last.line() == "waiting for one of GPU 0, 1 behind on-a, for-both, for-a"


def test_lock_of_the_device_is_not_kept_by_a_forked_child(tmp_path: Path) -> None:
    code = "\n".join(
        [
            "import os, signal",
            "from lab.launching.devices import wait_for_device",
            "device = wait_for_device('r', 0, waiting=print, should_stop=lambda: False)",
            "child = os.fork()",
            "child or signal.pause()",
            "print(child, flush=True)",
            "signal.pause()",
        ]
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    lock_file = (tmp_path / "devices" / "cpu.lock").open("rb")
    try:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        parent.kill()
        parent.wait()
        fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert Path(f"/proc/{child}").exists()
    finally:
        os.kill(child, signal.SIGKILL)
        parent.stdout.close()
        lock_file.close()

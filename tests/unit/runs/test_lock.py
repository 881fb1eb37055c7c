"""Who holds a run: the kernel knows here, the heartbeat elsewhere."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from lab.errors import RunStateError
from lab.runs import lock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "some-run").mkdir()
    return tmp_path / "some-run" / "lock"


def test_a_lock_has_one_holder(path: Path) -> None:
    assert not lock.is_held(path)
    handle = lock.acquire(path)
    assert lock.is_held(path)
    with pytest.raises(RunStateError, match=r"Another worker holds some-run\. .*lab runs stop some-run"):
        lock.acquire(path, wait=0)
    os.close(handle)
    assert not lock.is_held(path)
    os.close(lock.acquire(path, wait=0))


def test_a_refused_acquire_leaves_no_file_open(path: Path) -> None:
    handle = lock.acquire(path)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(RunStateError):
        lock.acquire(path, wait=0)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert not os.get_inheritable(handle)
    os.close(handle)


def test_looking_does_not_take_the_lock(path: Path) -> None:
    os.close(lock.acquire(path))
    assert not lock.is_held(path)
    assert not lock.is_held(path)
    os.close(lock.acquire(path, wait=0))


def test_the_holder_is_told_apart_from_a_later_process(path: Path) -> None:
    handle = lock.acquire(path)
    os.pwrite(handle, b"x" * 1000, 0)
    lock.write_holder(handle)
    who = lock.holder(path)
    assert who == lock.this_process()
    assert who is not None
    assert (who.host, who.pid) == (socket.gethostname(), os.getpid())
    assert who.start_ticks == lock.start_ticks(os.getpid()) > 0
    assert lock.start_ticks(2**22 + 1) == 0
    os.close(handle)


@pytest.mark.parametrize("content", [None, "", "{", "[]", "5", '{"host": "x"}', '{"other": 1}'])
def test_a_lock_without_a_readable_holder_has_none(path: Path, content: str | None) -> None:
    if content is not None:
        path.write_text(content)
    assert lock.holder(path) is None
    assert not lock.is_held(path)


@pytest.mark.parametrize(
    ("host", "age", "held"),
    [("elsewhere", 0.0, True), ("elsewhere", lock.STALE_SECONDS + 60, False), (socket.gethostname(), 0.0, False)],
)
def test_the_heartbeat_decides_for_other_hosts_alone(path: Path, host: str, age: float, held: bool) -> None:
    path.write_text(json.dumps(asdict(lock.this_process()) | {"host": host}))
    then = time.time() - age
    os.utime(path, (then, then))
    assert lock.is_held(path) is held


def test_a_beat_renews_a_stale_lock(path: Path) -> None:
    path.write_text(json.dumps(asdict(lock.this_process()) | {"host": "elsewhere"}))
    os.utime(path, (1, 1))
    assert not lock.is_held(path)
    handle = os.open(path, os.O_RDWR)
    lock.beat(handle)
    os.close(handle)
    assert lock.is_held(path)


ADOPTER = """
import os, sys
from pathlib import Path
from lab.runs import lock
handle, leash = lock.acquire(Path(sys.argv[1])), int(sys.argv[2])
os.set_inheritable(handle, True)
lock.adopt(handle)
assert not os.get_inheritable(handle)
if os.fork() == 0:
    print(os.getppid(), lock.holder(Path(sys.argv[1])).pid, flush=True)
    os.read(leash, 1)  # outlives the worker, as a data loader might
    os._exit(0)
os.read(0, 1)
"""


def test_an_adopted_lock_ends_with_the_worker_though_its_child_lives(path: Path) -> None:
    theirs, ours = os.pipe()
    worker = subprocess.Popen(
        [sys.executable, "-c", ADOPTER, str(path), str(theirs)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=[theirs],
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    try:
        assert worker.stdout.readline().split() == [str(worker.pid).encode()] * 2
        assert lock.is_held(path)
        worker.stdin.close()
        assert worker.wait(30) == 0
        assert not lock.is_held(path)
    finally:
        os.close(ours)
        os.close(theirs)
        assert worker.stdout.read() == b""  # ends when the child has gone too
        worker.stdout.close()


def test_who_signs_off_is_not_missed_for_a_minute_elsewhere(path: Path) -> None:
    handle = lock.acquire(path)
    os.pwrite(handle, json.dumps(asdict(lock.this_process()) | {"host": "elsewhere"}).encode(), 0)
    os.utime(handle)
    fcntl.flock(handle, fcntl.LOCK_UN)  # what a host sees to which locks do not reach
    assert lock.is_held(path)
    lock.sign_off(handle)
    assert not lock.is_held(path)
    os.close(handle)


def test_without_locks_the_heartbeat_decides(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise OSError(38, "Function not implemented")

    path.write_text(json.dumps(asdict(lock.this_process()) | {"host": "elsewhere"}))
    monkeypatch.setattr(fcntl, "flock", refuse)
    assert lock.is_held(path)
    path.write_text("")
    assert not lock.is_held(path)

"""The command line in this process, in a home of its own where no worker can start."""

from __future__ import annotations

import fcntl
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

from lab import atomic
from lab.cli.app import run as run_command
from lab.launching import jobs, local, resume
from lab.launching.recorded import write_started
from lab.profile.load import resolve
from lab.runs.paths import RunPaths
from tests.fixtures.folders import START, make_run


@dataclass(frozen=True)
class Said:
    """How one command line ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def refused(self, code: int, *words: str) -> None:
        """Check that it ended in two sentences on stderr, with `words` in them, and left stdout alone."""
        assert self.code == code, self
        problem, remedy = self.err.splitlines()[-2:]
        assert problem.startswith("lab: "), self.err
        assert remedy.startswith("     "), self.err
        assert remedy.strip()[-1] in ".?", self.err
        assert self.out == ""
        for word in words:
            assert word in self.err


Lab = Callable[..., Said]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a `$LAB_HOME` that does not exist yet; the working folder beside it is empty."""
    work = tmp_path / "work"
    work.mkdir()
    for name, folder in (("LAB_HOME", "home"), ("LAB_DEVICE_LOCKS", "locks"), ("XDG_CACHE_HOME", "cache")):
        monkeypatch.setenv(name, str(tmp_path / folder))
    monkeypatch.delenv("LAB_PROFILES", raising=False)
    monkeypatch.chdir(work)
    return tmp_path / "home"


@pytest.fixture
def spawned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the ids of the runs whose workers would have been started."""
    ids: list[str] = []
    for module in (local, resume, jobs):
        monkeypatch.setattr(module, "spawn", lambda run, handle, **options: ids.append(run.id))
    return ids


@pytest.fixture
def lab(home: Path, spawned: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Return a function that runs `lab ARGUMENTS`; escape sequences come through as they would on a terminal."""
    monkeypatch.setattr(sys.modules[typer.echo.__module__], "should_strip_ansi", lambda *_: False)

    def call(*arguments: str) -> Said:
        capsys.readouterr()
        code = run_command([str(argument) for argument in arguments])
        written = capsys.readouterr()
        return Said(code, written.out, written.err)

    return call


@pytest.fixture
def nothing_started(home: Path, spawned: list[str]) -> Callable[[], None]:
    """Return a check that no worker was started and no run folder is left."""

    def check() -> None:
        assert spawned == []
        assert not list(home.glob("runs/*"))

    return check


def ended(home: Path, name: str, state: str, **options: Any) -> RunPaths:
    """Make a run that ended in `state`, or, without an end, is lost; its profile can be resumed."""
    end = {"type": "end", "t": START + 9, "outcome": state, "reason": "why", "remedy": "mend it"}
    begun = {"type": "phase", "t": START, "phase": "training"}
    events = [begun] if state == "lost" else [begun, end]
    run = make_run(home, name, state="training" if state == "lost" else state, events=events, metrics=None, **options)
    if state != "lost":
        atomic.write_json(run.state, {**json.loads(run.state.read_text()), "end": end})
    tree = {"data": {"source": [{"name": "bundled:helpdesk"}]}, "train": {"epochs": 2.0}}
    write_started(run, resolve("fake", tree, {}), None)
    return run


@pytest.fixture
def four(home: Path) -> dict[str, RunPaths]:
    """Return one run of each end."""
    return {state: ended(home, state, state) for state in ("completed", "stopped", "failed", "lost")}


@pytest.fixture
def live(home: Path) -> Iterator[RunPaths]:
    """Return a run whose lock somebody holds."""
    run = ended(home, "live", "lost")
    handle = os.open(run.lock, os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)
    yield run
    os.close(handle)


def content(home: Path) -> dict[str, bytes]:
    """Return every file of the home with what it holds."""
    return {str(path.relative_to(home)): path.read_bytes() for path in home.rglob("*") if path.is_file()}

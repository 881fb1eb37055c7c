"""Homes with runs that always look the same, and the console over them without its timer."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.console.app import LabApp
from tests.fixtures.console_runs import START, hold, some_runs


@pytest.fixture(autouse=True)
def _same_place(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One time zone and colours, whatever the machine says."""
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("NO_COLOR", raising=False)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def empty_home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Six runs in six states; the one in training is alive."""
    live = some_runs(tmp_path / "home" / "runs")
    handle = hold(live)
    yield tmp_path / "home"
    os.close(handle)


@pytest.fixture
def app(home: Path) -> LabApp:
    return make_app(home)


def make_app(home: Path, *, readonly: bool = False, plain: bool = False) -> LabApp:
    """Return the console with a clock that stands still, which reads only when it is asked."""
    return LabApp(home, readonly=readonly, plain=plain, tick=0, clock=lambda: START + 3720)


@pytest.fixture
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with one good and one broken profile beside the packed ones."""
    work = tmp_path / "work"
    (work / "profiles").mkdir(parents=True)
    (work / "profiles" / "mine.toml").write_text('extends = "demo-lora"\n[method]\nrank = 4\n')
    (work / "profiles" / "wrong.toml").write_text("[method]\nrnk = 4\n")
    monkeypatch.chdir(work)
    return work

"""The Profiles page as a person drives it; what writes is asked for first."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.console import acts, planning
from lab.console.app import LabApp
from lab.console.profilelist import ProfileRow, Value
from lab.console.profileparts import value_lines
from lab.console.screens.confirm import ConfirmPanel
from lab.console.screens.form import FormPanel
from lab.console.screens.plan import PlanPanel
from lab.launching import study as studies
from lab.profile.study import list_studies, load_study
from lab.runs.paths import RunPaths
from tests.console.driving import press, screen_text, settle, type_text, wait_for
from tests.fixtures.console_runs import LIVE

FAILED = "20261122-0215-smollm2-135m-lora-c0de"
Typed = Callable[..., Any]


async def test_profiles_with_origins_and_faults(app: LabApp, profiles: Path) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        await press(pilot, "1", "slash")
        await type_text(pilot, "mine")
        await press(pilot, "enter")
        text = screen_text(pilot)
        assert "file mine.toml:3" in text
        assert "parent demo.toml" in text
        assert "train_on" not in text
        await press(pilot, "a")
        assert "default" in screen_text(pilot)
        await press(pilot, "escape", "slash")
        await type_text(pilot, "wrong")
        assert "Did you mean 'rank'?" in screen_text(pilot)


async def test_a_profile_is_started_after_a_question(
    app: LabApp, profiles: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[str, int]] = []

    def start(resolved: Any, **_: Any) -> RunPaths:
        started.append((resolved.name, resolved.profile.method.rank))
        return RunPaths(home / "runs" / LIVE.run_id)

    monkeypatch.setattr(acts, "start", start)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "1", "slash")
        await type_text(pilot, "mine")
        await press(pilot, "enter", "enter")
        assert isinstance(app.screen, ConfirmPanel)
        await press(pilot, "y")
        await wait_for(pilot, lambda: app.current_mode == "live")
        assert started == [("mine", 4)]


async def test_a_study_starts_the_rows_that_are_missing(
    app: LabApp, profiles: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[str] = []

    def start(resolved: Any, *, labels: Any, in_line: bool) -> RunPaths:
        rows.append(labels.row)
        return RunPaths(home / "runs" / LIVE.run_id)

    monkeypatch.setattr(studies, "start", start)
    monkeypatch.setenv("LAB_HOME", str(home))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "1", "enter", "y")
        await wait_for(pilot, lambda: app.current_mode == "live")
        assert rows == [row.name for row in load_study(list_studies()[0]).rows], "the first of the list"


async def test_a_copy_is_checked_as_one_types_and_saved(app: LabApp, profiles: Path) -> None:
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "1", "slash")
        await type_text(pilot, "mine")
        await press(pilot, "enter", "e")
        await type_text(pilot, "method.rnk=8")
        assert "Did you mean 'rank'?" in screen_text(pilot)
        await press(pilot, "enter", "enter")
        assert isinstance(app.screen, FormPanel)
        await press(pilot, "up", "end", *["backspace"] * 4)
        await type_text(pilot, "ank=8; train.epochs=2")
        await press(pilot, "down")
        await type_text(pilot, "copy")
        await press(pilot, "enter")
        written = profiles / "profiles" / "copy.toml"
        await wait_for(pilot, written.exists)
        assert 'extends = "mine"' in written.read_text()
        assert "rank = 8" in written.read_text()
        await press(pilot, "escape")
        app.ask()
        await settle(pilot)
        assert "copy" in screen_text(pilot)


async def test_a_copy_is_started_after_a_question(app: LabApp, profiles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[str, Any]] = []
    monkeypatch.setattr(acts, "start_profile", lambda *args: (started.append(args), acts.Done("started"))[1])
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "1")
        for answer in ("n", "y"):
            assert not started
            await press(pilot, "escape", "slash")
            await type_text(pilot, "mine")
            await press(pilot, "enter", "e")
            await type_text(pilot, "method.rank=8")
            await press(pilot, "enter")
            assert isinstance(app.screen, FormPanel)
            await press(pilot, "enter")
            assert isinstance(app.screen, ConfirmPanel)
            assert "method.rank=8" in screen_text(pilot)
            await press(pilot, answer)
        await wait_for(pilot, lambda: started == [("mine", ["method.rank=8"])])


def test_long_names_of_rows_keep_their_distance() -> None:
    names = ("3B, r=4, attention and MLP", "short")
    study = ProfileRow("x", "study", values=tuple(Value(name, "qlora", "base/llama") for name in names))
    lines = ["".join(text for text, _ in line) for line in value_lines(study, 80, every=False)]
    assert lines[1].startswith("3B, r=4, attention and MLP qlora ")
    assert len({line.index(word) for line, word in zip(lines, ("method", "qlora", "qlora"), strict=True)}) == 1


async def test_a_plan_comes_from_a_child_process(app: LabApp, profiles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import sys, time; print('reading data', file=sys.stderr, flush=True); "
        "print('plan of', sys.argv[1], '\\x1b]0;x\\x07[red]', *sys.argv[2:])"
    )
    monkeypatch.setattr(planning.Planning.__init__, "__kwdefaults__", {"command": (sys.executable, "-c", code)})
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "1", "slash")
        await type_text(pilot, "demo-baseline")
        await press(pilot, "enter", "v")
        assert isinstance(app.screen, PlanPanel)
        await wait_for(pilot, lambda: "plan of demo-baseline [red]" in screen_text(pilot))
        assert "--time" not in screen_text(pilot)
        await press(pilot, "t")
        await wait_for(pilot, lambda: "--time" in screen_text(pilot))
        await press(pilot, "escape")


async def test_giving_a_plan_up_ends_its_process(app: LabApp, profiles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import time; time.sleep(60)"
    monkeypatch.setattr(planning.Planning.__init__, "__kwdefaults__", {"command": (sys.executable, "-c", code)})
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "1", "slash")
        await type_text(pilot, "demo-baseline")
        await press(pilot, "enter", "v")
        panel = app.screen
        assert isinstance(panel, PlanPanel)
        assert panel._planning is not None
        process = panel._planning._process
        await press(pilot, "escape")
        await wait_for(pilot, lambda: process.poll() is not None)

"""The System page, the palette, and a console that changes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.console import acts
from lab.console.app import LabApp
from lab.console.keys import KEYS
from tests.console.conftest import make_app
from tests.console.driving import press, screen_text, settle, table_text, type_text, wait_for

FAILED = "20261122-0215-smollm2-135m-lora-c0de"
Typed = Callable[..., Any]


async def test_the_system_page_names_the_worker_of_a_run(app: LabApp) -> None:
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "6")
        text = screen_text(pilot)
        assert "free where the runs are" in text
        worker = next(line for line in text.splitlines() if str(os.getpid()) in line)
        assert "smollm2-135m-qlora-91bc" in worker


async def test_the_palette_finds_actions_and_runs(app: LabApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "ctrl+p")
        await type_text(pilot, "llama")
        await wait_for(pilot, lambda: "watch llama" in screen_text(pilot))
        await press(pilot, "enter")
        await wait_for(pilot, lambda: app.current_mode == "live")
        assert app.request.run is not None
        assert "llama" in app.request.run.name


async def test_the_palette_calls_actions(app: LabApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "ctrl+p")
        await type_text(pilot, "group by")
        await wait_for(pilot, lambda: "(b)" in screen_text(pilot) and "(x)" not in screen_text(pilot))
        await press(pilot, "enter")
        await settle(pilot)
        assert "no study  4" in screen_text(pilot)


async def test_read_only_changes_nothing(home: Path, profiles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*args: object, **named: object) -> acts.Done:
        raise AssertionError("this changes something")

    for name in ("ask_to_stop", "end_now", "go_on", "delete", "label", "archive", "start_profile", "start_study"):
        monkeypatch.setattr(acts, name, forbidden)
    before = {path: path.stat().st_mtime_ns for path in sorted(home.rglob("*"))}
    app = make_app(home, readonly=True)
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        for page, number in (("runs", "2"), ("live", "3"), ("profiles", "1"), ("results", "4")):
            await press(pilot, number)
            for key in KEYS:
                if key.writes and page in key.pages:
                    await press(pilot, key.keys.split(",")[0])
                    assert len(app.screen_stack) == 1, key.id
                    assert f" {key.label}  " not in table_text(pilot)[-1] or not key.label
    assert {path: path.stat().st_mtime_ns for path in sorted(home.rglob("*"))} == before

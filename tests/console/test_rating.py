"""Blind rating as a person drives it: shuffled sides, every verdict written at once, names said at the end alone."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from textual.pilot import Pilot

from lab.console.app import LabApp
from lab.console.rateparts import question_lines
from lab.console.screens.rating import RatingPanel
from lab.runs.paths import RunPaths
from lab.runs.ratings import read_verdicts
from tests.console.conftest import make_app
from tests.console.driving import press, screen_text, settle, type_text, wait_for

TWO = ("20261122-0200-smollm2-135m-lora-7f3a", "20261122-0207-smollm2-135m-qlora-4b1d")


async def rating(pilot: Pilot[None], app: LabApp, home: Path) -> RatingPanel:
    await settle(pilot)
    for name in TWO:
        app.mark(home / "runs" / name)
        await settle(pilot)
    await press(pilot, "5", "r")
    panel = app.screen
    assert isinstance(panel, RatingPanel)
    await wait_for(pilot, lambda: panel._session is not None)
    await settle(pilot)
    return panel


def choices(home: Path) -> list[str]:
    first, second = (RunPaths(home / "runs" / name) for name in TWO)
    return [verdict.choice or "flag" for verdict in read_verdicts(first, second)]


async def test_verdicts_are_written_and_the_result_has_an_interval(app: LabApp, home: Path) -> None:
    async with app.run_test(size=(100, 30)) as pilot:
        await rating(pilot, app, home)
        text = screen_text(pilot)
        assert "0 of 2 judged" in text
        assert "LoRA" not in text.partition("which answer")[2]
        assert "1 better" in text
        assert "u undo" not in text
        await press(pilot, "1")
        assert len(choices(home)) == 1
        await press(pilot, "right")
        assert set(choices(home)) <= {"first", "second"}
        text = screen_text(pilot)
        assert "2 of 2 judged" in text
        assert "LoRA wins" in text
        assert "of them the same answer" in text
        assert "1 better" not in text
        assert "u undo" in text
        await press(pilot, "escape")
        assert app.current_mode == "samples"
        await press(pilot, "r")
        await wait_for(pilot, lambda: "All pairs are judged" in screen_text(pilot))


async def test_ties_skips_flags_and_undo(app: LabApp, home: Path) -> None:
    async with app.run_test(size=(100, 30)) as pilot:
        await rating(pilot, app, home)
        await press(pilot, "t", "s")
        assert choices(home) == ["tie", "skip"]
        await press(pilot, "u", "u", "f")
        assert choices(home) == []
        await type_text(pilot, "odd")
        await press(pilot, "enter")
        assert choices(home) == ["flag"]
        assert "0 of 2 judged" in screen_text(pilot)
        await press(pilot, "v")
        assert "odd" in screen_text(pilot)
        await press(pilot, "v", "r")
        assert "reference" in screen_text(pilot)
        await press(pilot, "down", "up", "q")
        assert len(app.screen_stack) == 1


@pytest.mark.parametrize("size", [(60, 20), (40, 10)], ids=str)
async def test_it_fits_small_terminals(app: LabApp, home: Path, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await rating(pilot, app, home)
        assert app.is_running


def test_a_long_prompt_is_whole_below_the_answers(app: LabApp) -> None:
    prompt = "\n".join(f"line {n}" for n in range(13))
    question = SimpleNamespace(prompt=prompt, left="left", right="right", references=())
    lines = ["".join(text for text, _ in line) for line in question_lines(question, 78, app.looks, reference=False)]
    assert lines[0] == "prompt  7 lines above: below the answers"
    assert lines.index("line 0") > next(n for n, line in enumerate(lines) if line.startswith("left"))
    question.prompt = "one line"
    short = question_lines(question, 78, app.looks, reference=False)
    assert sum(("prompt", "$accent") in line for line in short) == 1


async def test_two_runs_are_needed(app: LabApp, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(app, "say", lambda text, failed=False: said.append(text))
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "5", "r")
        assert said == ["Two runs are rated: mark them on page 2 with space."]


async def test_read_only_rates_nothing(home: Path) -> None:
    app = make_app(home, readonly=True)
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "5", "r")
        assert len(app.screen_stack) == 1

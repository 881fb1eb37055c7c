"""The Samples page as a person drives it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.console.app import LabApp
from tests.console.conftest import make_app
from tests.console.driving import press, screen_text, settle, table_text, type_text

FAILED = "20261122-0215-smollm2-135m-lora-c0de"
Typed = Callable[..., Any]


async def test_samples_one_by_one(app: LabApp) -> None:
    async with app.run_test(size=(80, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "5")
        text = screen_text(pilot)
        for part in ("1 of 24", "The kettle I bought", "reference", "baseline", "LoRA", "QLoRA", "JSON match"):
            assert part in text, part
        await press(pilot, "down", "j", "n")
        assert "4 of 24" in screen_text(pilot)
        await press(pilot, "up", "k")
        assert "2 of 24" in screen_text(pilot)
        await press(pilot, "G")
        assert "24 of 24" in screen_text(pilot)
        await press(pilot, "g")
        assert "1 of 24" in screen_text(pilot)


async def test_samples_in_columns_where_there_is_room(app: LabApp) -> None:
    async with app.run_test(size=(160, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "5")
        heads = next(line for line in table_text(pilot) if "reference" in line)
        assert heads.index("reference") < heads.index("baseline") < heads.index("LoRA")
        await press(pilot, "v")
        heads = next(line for line in table_text(pilot) if "reference" in line)
        assert "baseline" not in heads


async def test_samples_are_sorted_and_searched(app: LabApp) -> None:
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "5", "o")
        assert "worst JSON match first" in screen_text(pilot)
        assert "row-17" in screen_text(pilot)
        await press(pilot, "o")
        assert "widest disagreement in JSON match first" in screen_text(pilot)
        await press(pilot, "slash")
        await type_text(pilot, "LAMP")
        assert "of 5" in screen_text(pilot)
        assert "charged me twice" in screen_text(pilot)
        await press(pilot, "escape")
        assert "of 24" in screen_text(pilot)


async def test_texts_that_go_on_below_say_so(app: LabApp) -> None:
    async with app.run_test(size=(60, 20)) as pilot:
        await settle(pilot)
        await press(pilot, "5")
        assert "lines 1-17 of" in screen_text(pilot)
        await press(pilot, "pagedown")
        assert "lines 1-" not in screen_text(pilot)
        await press(pilot, "o")
        assert "worst JSON match first" in screen_text(pilot)
        assert "pgdn" in screen_text(pilot)
        await pilot.resize_terminal(120, 50)
        await settle(pilot)
        assert "pgdn" not in screen_text(pilot)


async def test_a_sample_is_copied_whole(app: LabApp) -> None:
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "5", "c")
        assert "prompt:\nThe kettle I bought" in app.clipboard
        assert "QLoRA:\n{" in app.clipboard


async def test_differences_from_the_reference_stand_out(app: LabApp) -> None:
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "5", "o")

        def marked() -> list[str]:
            strips = app.screen._compositor.render_strips()
            return [s.text for strip in strips for s in strip if s.style and s.style.bold and "other" in s.text]

        assert len(marked()) == 3
        await press(pilot, "w")
        assert not marked()


async def test_nothing_to_compare_is_explained(empty_home: Path) -> None:
    app = make_app(empty_home)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "4")
        assert "Nothing to compare yet" in screen_text(pilot)
        await press(pilot, "5")
        assert "No answers to read yet" in screen_text(pilot)

"""The Live page as a person drives it: numbers, charts, cursor, notes, any size."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lab import atomic
from lab.console.app import LabApp
from lab.runs.paths import RunPaths
from lab.runs.writer import RunWriter
from tests.console.conftest import make_app
from tests.console.driving import press, screen_text, settle
from tests.fixtures.console_runs import LIVE, Plan, hold, write_run, write_step

SIZES = [(60, 20), (80, 24), (120, 36)]


async def test_live_shows_the_living_run_with_its_numbers(app: LabApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "3")
        text = screen_text(pilot)
        for part in ("step 132 / 400", "33%", "ETA 03:21", "no GPU: watts not measured", "safe to close", "4.6k tok/s"):
            assert part in text, part


async def test_a_gpu_shows_watts_limit_and_energy(app: LabApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        await press(pilot, "3", "down", "down")
        text = screen_text(pilot)
        for part in ("power W", "of 700", "Wh", "VRAM GB", "°C"):
            assert part in text, part


async def test_smoothing_goes_round(app: LabApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "3")
        seen = []
        for _ in range(3):
            await press(pilot, "s")
            assert app.snapshot.live is not None
            seen.append((app.request.view.smoothing, len(app.snapshot.live.charts[0].curves)))
        assert seen == [(0.0, 1), (0.6, 2), (0.9, 2)]


async def test_the_log_axis_comes_and_goes(app: LabApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "3", "y")
        assert app.snapshot.live is not None
        assert app.snapshot.live.charts[0].log
        assert not app.snapshot.live.charts[3].log  # the learning rate stays as it is
        await press(pilot, "y")
        assert not app.snapshot.live.charts[0].log


async def test_a_log_axis_that_cannot_be_is_refused_with_its_reason(tmp_path: Path) -> None:
    handle = hold(write_run(tmp_path / "runs", Plan(state="training", done=20, total=50, loss=lambda s, _: -1.0)))
    app = make_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "3", "y")
        assert "no log axis: no value above zero" in screen_text(pilot)
    os.close(handle)


async def test_zoom_stays_on_the_tail(app: LabApp) -> None:
    def ends() -> tuple[float, float]:
        assert app.snapshot.live is not None
        return app.snapshot.live.charts[0].x_range

    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "3")
        assert ends() == (1.0, 400.0)
        await press(pilot, "z")
        assert ends() == (132 - 131 / 4, 132.0)
        await press(pilot, "left_square_bracket")
        assert ends() == (132 - 131 / 8, 132.0)
        await press(pilot, "right_square_bracket", "right_square_bracket", "right_square_bracket")
        assert ends() == (1.0, 400.0)


async def test_the_cursor_reads_values(app: LabApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        await press(pilot, "3")
        assert "   speed 4.6k tok/s" in screen_text(pilot)
        await press(pilot, "left")
        assert app.request.view.cursor == 132
        await press(pilot, "left", "b")
        assert app.request.view.cursor is not None
        assert app.request.view.cursor < 132
        assert f"at step {app.request.view.cursor}" in screen_text(pilot)
        assert "   speed 4." in screen_text(pilot)
        await press(pilot, "right", "w", "right")
        assert app.request.view.cursor == 132
        await press(pilot, "escape")
        assert app.request.view.cursor is None
        assert "at step" not in screen_text(pilot)


async def test_a_named_run_tells_its_id_too(app: LabApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "3")
        assert screen_text(pilot).count("91bc") == 1  # its title ends on it
        await press(pilot, *["down"] * 4)
        assert "QLoRA  4b1d" in screen_text(pilot)


async def test_a_baseline_has_no_steps_to_come(app: LabApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "3", *["down"] * 8)
        assert "a baseline is not trained" in screen_text(pilot)


async def test_a_click_into_the_loss_puts_the_cursor_there(app: LabApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        await press(pilot, "3")
        await pilot.click("#chart-loss", offset=(17, 5))
        await settle(pilot)
        assert app.request.view.cursor is not None
        assert 30 < app.request.view.cursor < 90


async def test_one_chart_at_a_time_where_there_is_no_room(app: LabApp) -> None:
    async with app.run_test(size=(60, 20)) as pilot:
        await settle(pilot)
        await press(pilot, "3")
        seen = []
        for _ in range(5):
            seen.append([c.name for c in app.screen.query("ChartView") if c.display and c.region])
            await press(pilot, "c")
        assert seen == [["loss"], ["power"], ["grad_norm"], ["lr"], ["memory"]]


async def test_a_chart_can_have_the_whole_page(app: LabApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "3", "f")
        assert [c.name for c in app.screen.query("ChartView") if c.display] == ["loss"]
        await press(pilot, "escape")
        assert len([c for c in app.screen.query("ChartView") if c.display]) == 5


async def test_up_and_down_watch_other_runs(app: LabApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "3")
        seen = []
        for key in ("down", "j", "up", "k", "k"):
            await press(pilot, key)
            assert app.snapshot.live is not None
            seen.append(app.snapshot.live.row.id.rpartition("-")[2])
        assert seen == ["5e5e", "a1b2", "5e5e", "91bc", "91bc"]


@pytest.mark.parametrize("size", [(1, 1), (10, 3), (20, 8), (39, 11), (55, 15), (59, 19), (300, 80)], ids=str)
@pytest.mark.parametrize("page", ["2", "3"])
async def test_no_size_is_refused(app: LabApp, size: tuple[int, int], page: str) -> None:
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        await press(pilot, page)
        assert app.is_running


async def test_below_sixty_by_twenty_numbers_alone(app: LabApp) -> None:
    async with app.run_test(size=(44, 14)) as pilot:
        await settle(pilot)
        await press(pilot, "3")
        text = screen_text(pilot)
        assert "loss" in text
        assert "1.417" in text
        assert not [c for c in app.screen.query("ChartView") if c.display and c.region]


async def test_all_notes_of_a_run_can_be_read(app: LabApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "3", "a")
        text = screen_text(pilot)
        assert "checkpoint step 50 saved" in text
        assert "checkpoint step 100 saved" in text


async def test_alerts_are_counted_where_a_later_note_hides_them(tmp_path: Path) -> None:
    plan = Plan(state="training", done=49, total=100, alerts=("the loss has risen", "again"))
    run = write_run(tmp_path / "runs", plan)
    handle, writer = hold(run), RunWriter(run)
    write_step(writer, 50, 1.0, total=100)
    app = make_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "3")
        assert "2 alerts" in screen_text(pilot)
        await press(pilot, "a")
        assert "the loss has risen" in screen_text(pilot)
    writer.close()
    os.close(handle)


async def test_the_choices_of_the_recipe_are_told_with_their_reasons(app: LabApp, home: Path) -> None:
    run = RunPaths(home / "runs" / LIVE.run_id)
    poison = "\x1b]0;PWNED\x07[red]because[/x]"
    choices = {"dtype": {"value": "bf16", "why": poison}, "loss_scaling": {"value": False, "why": "not fp16"}}
    atomic.write_json(run.recipe, {"schema": 1, "choices": choices})
    state = json.loads(run.state.read_text())
    atomic.write_json(run.state, {**state, "facts": {"estimated_peak_bytes": 5 * 10**9, "probed_peak_bytes": None}})
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "3", "i")
        text = screen_text(pilot)
        for part in ("dtype", "bf16", "[red]because[/x]", "loss scaling", "no", "5.00 GB", "estimated before it began"):
            assert part in text, part
        assert "tried before" not in text


async def test_a_run_without_a_recipe_says_so(app: LabApp) -> None:
    async with app.run_test(size=(60, 20)) as pilot:
        await settle(pilot)
        await press(pilot, "3", "i")
        assert "No recipe yet" in screen_text(pilot)

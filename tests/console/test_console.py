"""The console as a person drives it: every key does what the table says, and no run is harmed."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from textual.color import Color

from lab.console.app import LabApp, farewell
from lab.console.feed import Arrived, Snapshot
from lab.console.screens.help import HelpPanel
from lab.console.screens.runs import RunsPage
from lab.runs.writer import RunWriter
from tests.console.conftest import make_app
from tests.console.driving import press, screen_text, settle
from tests.console.terminal import killed_in_terminal
from tests.fixtures.console_runs import LIVE, START, Plan, hold, write_run, write_step

SIZES = [(60, 20), (80, 24), (120, 36)]


# everywhere


async def test_opens_on_runs_and_shows_them(app: LabApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        text = screen_text(pilot)
        assert app.current_mode == "runs"
        assert "smollm2-135m-qlora-91bc" in text
        for state in ("training", "lost", "stopped", "failed", "completed"):
            assert state in text


async def test_an_empty_home_says_what_to_do_and_is_not_made(empty_home: Path) -> None:
    app = make_app(empty_home)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert "lab demo --quick" in screen_text(pilot)
        await press(pilot, "3")
        assert "lab demo --quick" in screen_text(pilot)
    assert not empty_home.exists()


async def test_help_opens_and_closes(app: LabApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "question_mark")
        assert isinstance(app.screen, HelpPanel)
        assert "Watch the run on the Live page." in screen_text(pilot)
        await press(pilot, "escape")
        assert isinstance(app.screen, RunsPage)


async def test_themes_go_round(app: LabApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        seen = []
        for _ in range(4):
            seen.append(app.theme)
            await press(pilot, "t")
        assert seen == ["lab-dark", "lab-light", "lab-cvd", "lab-ansi"]
        assert app.theme == "lab-dark"


async def test_a_theme_reaches_pages_that_were_hidden_and_new_ones(app: LabApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "1", "2", "t")
        for page in "2136":
            await press(pilot, page)
            drawn = (app.screen.styles.background, app.screen.styles.color)
            assert drawn == tuple(Color.parse(app.theme_variables[name]) for name in ("background", "foreground")), page


async def test_a_frozen_screen_asks_for_nothing(app: LabApp, home: Path) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "p")
        assert "frozen" in screen_text(pilot)
        before = app.snapshot
        write_run(home / "runs", Plan(run_id="20261122-0500-new-0001", start=START + 9000))
        app.on_tick()
        await settle(pilot)
        assert app.snapshot is before
        await press(pilot, "p")
        app.on_tick()
        await settle(pilot)
        assert len(app.snapshot.runs) == len(before.runs) + 1


async def test_leaving_harms_no_run_and_says_so(app: LabApp, home: Path) -> None:
    run = home / "runs" / LIVE.run_id
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "3", "q")
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    line = farewell(home / "runs")
    assert line.startswith("1 run goes on: 20261122-0300-smollm2-135m-qlora-91bc.")


def test_nothing_is_said_where_nothing_runs(tmp_path: Path) -> None:
    write_run(tmp_path, Plan())
    assert farewell(tmp_path) == ""


def test_several_runs_go_on(tmp_path: Path) -> None:
    handles = [hold(write_run(tmp_path, Plan(run_id=f"20261122-020{n}-a-{n}", state="queued"))) for n in range(4)]
    assert farewell(tmp_path).startswith("4 runs go on: ")
    assert " and 1 more" in farewell(tmp_path)
    for handle in handles:
        os.close(handle)


async def test_a_failure_while_reading_is_said_and_survived(app: LabApp, monkeypatch: pytest.MonkeyPatch) -> None:
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        shown: list[object] = []
        monkeypatch.setattr(app, "notify", lambda text, **how: shown.append((text, how["markup"])))

        def broken(*_: object) -> None:
            raise OSError("the disk is \x1b]0;gone\x07 [red]away")

        with monkeypatch.context() as patch:
            patch.setattr(app._feed, "read", broken)
            app.ask()
            await pilot.pause(0.1)
        assert shown == [("Reading failed (OSError): the disk is  [red]away", False)]
        app.ask()
        await settle(pilot)
        assert app.snapshot.runs


# the list of runs


async def test_cursor_keys_and_their_vim_names(app: LabApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        page = app.screen
        assert isinstance(page, RunsPage)
        places = []
        for key in ("down", "j", "up", "k", "G", "home", "end", "g"):
            await press(pilot, key)
            places.append(page.table.cursor)
        assert places == [1, 2, 1, 0, 6, 0, 6, 0]


async def test_the_run_under_the_cursor_is_told_in_full(app: LabApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        await press(pilot, "down", "down", "down")
        text = screen_text(pilot)
        assert "20261122-0215-smollm2-135m-lora-c0de" in text
        assert "The loss is NaN at step 57. Lower train.learning_rate." in text


async def test_enter_watches_the_run(app: LabApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "down", "enter")
        assert app.current_mode == "live"
        assert app.snapshot.live is not None
        assert app.snapshot.live.row.id == "20261122-0245-smollm2-135m-full-5e5e"


async def test_a_click_chooses_and_a_second_one_opens(app: LabApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.click("#runs-table", offset=(10, 3))
        await settle(pilot)
        assert app.screen.query_one("#runs-table").cursor == 2  # type: ignore[attr-defined]
        await pilot.click("#runs-table", offset=(10, 3))
        await settle(pilot)
        assert app.current_mode == "live"


async def test_tabs_and_keys_answer_to_the_mouse(app: LabApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.click("#tabs", offset=(36, 0))
        await settle(pilot)
        assert app.current_mode == "live"
        line = screen_text(pilot).splitlines()[-1]
        await pilot.click("#keyline", offset=(line.index("help") - 1, 0))
        await settle(pilot)
        assert isinstance(app.screen, HelpPanel)


async def test_a_new_run_does_not_move_the_cursor_off_its_run(app: LabApp, home: Path) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "down")
        page = app.screen
        assert isinstance(page, RunsPage)
        before = page.table.key
        write_run(home / "runs", Plan(run_id="20261122-0500-new-0001", start=START + 9000))
        app.ask()
        await settle(pilot)
        assert page.table.cursor == 2
        assert page.table.key == before


# nothing heavy, nothing painted for nothing


async def test_hidden_pages_get_nothing_and_equal_snapshots_are_not_posted(app: LabApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        arrived: list[object] = []
        app.on_arrived, original = arrived.append, app.on_arrived  # type: ignore[method-assign]
        app.ask()
        await settle(pilot)
        assert not arrived
        assert app.snapshot.live is None  # the Live page is hidden
        app.on_arrived = original  # type: ignore[method-assign]


def test_the_console_loads_nothing_heavy() -> None:
    code = (
        "import sys, lab.console.app; "
        "print([m for m in ('torch','transformers','datasets','pandas','numpy','peft','plotext') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


async def test_snapshots_that_wait_are_replaced_by_newer_ones(app: LabApp, monkeypatch: pytest.MonkeyPatch) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        shown: list[Snapshot] = []
        monkeypatch.setattr(RunsPage, "show", lambda page, snapshot: shown.append(snapshot))
        for attempt in range(200):
            app.post_message(Arrived(replace(app.snapshot, complaint=str(attempt))))
        await pilot.pause()
        assert shown[-1].complaint == "199"
        assert len(shown) < 20


async def test_a_run_that_writes_a_thousand_events_a_second_is_followed(tmp_path: Path) -> None:
    run = write_run(tmp_path / "runs", Plan(state="training", done=1, total=20_000, telemetry=False))
    handle, writer = hold(run), RunWriter(run)
    app = make_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "3")
        for second in range(4):
            for step in range(2 + second * 1000, 1002 + second * 1000):
                write_step(writer, step, 1.0 + 1 / step, total=20_000)
            app.on_tick()
            await settle(pilot)
            assert app.snapshot.live is not None
            assert app.snapshot.live.step == 1001 + second * 1000
    writer.close()
    os.close(handle)


def test_killing_the_console_harms_no_run(home: Path) -> None:
    def content() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file()}

    before = content()
    killed_in_terminal(home, keys="3l")
    assert content() == before

"""The console as a person drives it: every key does what the table says, and no run is harmed."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lab.console.app import LabApp, farewell
from lab.console.feed import Arrived, Snapshot
from lab.console.keys import EVERYWHERE, KEYS, PAGES, as_markdown, bindings, keys_of
from lab.console.screens.help import HelpPanel, help_parts
from lab.console.screens.runs import RunsPage
from lab.runs.writer import RunWriter
from tests.console.conftest import make_app
from tests.console.driving import press, screen_text, settle
from tests.console.terminal import killed_in_terminal
from tests.fixtures.console_runs import LIVE, START, Plan, hold, write_run, write_step

SIZES = [(60, 20), (80, 24), (120, 36)]


# the table of keys


def test_no_key_means_two_things_on_a_page() -> None:
    for page in PAGES:
        keys = [key for entry in keys_of(page) for key in entry.keys.split(",")]
        assert len(keys) == len(set(keys)), page


def test_ids_are_unique_and_help_is_a_sentence() -> None:
    assert len({key.id for key in KEYS}) == len(KEYS)
    for key in KEYS:
        assert key.help.endswith(".")
        assert key.help[0].isupper()


@pytest.mark.parametrize("page", PAGES)
def test_help_names_every_key_of_its_page(page: str) -> None:
    text = "".join(part for part, _ in help_parts(page))
    for key in keys_of(page):
        assert key.id in PAGES or key.help in text
        assert key.id in PAGES or key.shown.split()[0] in text


def test_every_action_of_the_table_exists() -> None:
    app = LabApp(Path("/nonexistent"), tick=0)
    for key in KEYS:
        name = "action_" + key.action.removeprefix("app.").partition("(")[0]
        owners = [app] if EVERYWHERE in key.pages else [app.MODES[page] for page in key.pages if page in app.MODES]
        for owner in owners:
            assert hasattr(owner, name), (key.id, owner)


def test_bindings_carry_ids_for_keymaps() -> None:
    assert {binding.id for binding in bindings("live")} == {k.id for k in KEYS if "live" in k.pages}  # type: ignore[union-attr]


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


# runs


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


# live


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
        await press(pilot, "3", "left")
        assert app.request.view.cursor == 132
        await press(pilot, "left", "b")
        assert app.request.view.cursor is not None
        assert app.request.view.cursor < 132
        assert f"at step {app.request.view.cursor}" in screen_text(pilot)
        await press(pilot, "right", "w", "right")
        assert app.request.view.cursor == 132
        await press(pilot, "escape")
        assert app.request.view.cursor is None
        assert "at step" not in screen_text(pilot)


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


def test_the_readme_table_holds_every_key() -> None:
    text = as_markdown()
    assert all(key.help in text for key in KEYS)


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

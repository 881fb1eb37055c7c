"""The Runs page as a person drives it; what writes is asked for first."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.console import acts
from lab.console.app import LabApp
from lab.console.screens.confirm import ConfirmPanel
from lab.console.screens.form import FormPanel
from lab.console.screens.logpeek import LogPanel
from lab.runs.labels import Labels, read_labels
from lab.runs.paths import RunPaths
from tests.console.conftest import make_app
from tests.console.driving import press, screen_text, settle, table_text, type_text, wait_for
from tests.fixtures.console_runs import LIVE, Plan, write_run

FAILED = "20261122-0215-smollm2-135m-lora-c0de"
Typed = Callable[..., Any]


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("loss<1.4", ["QLoRA", "LoRA"]),
        ("state=failed", ["smollm2-135m-lora-c0de"]),
        ("tag:first", ["LoRA"]),
        ("method=baseline", ["baseline"]),
        ("llama", ["llama-1b-qlora-a1b2"]),
    ],
)
async def test_filter(app: LabApp, query: str, left: list[str]) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "slash")
        await type_text(pilot, query)
        text = screen_text(pilot)
        assert f"{len(left)} of 7" in text
        assert all(name in text for name in left)
        await press(pilot, "enter")
        assert app.request.query == query
        await press(pilot, "escape")
        assert app.request.query == ""
        assert " of 7" not in screen_text(pilot)


async def test_a_wrong_filter_says_what_is_wrong_and_the_last_good_one_counts(app: LabApp) -> None:
    async with app.run_test(size=(120, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "slash")
        await type_text(pilot, "los<1.4")
        assert "Did you mean 'loss'?" in screen_text(pilot)
        assert not app.snapshot.fitting  # those of `los`, the last that made sense
        await press(pilot, "escape")
        assert len(app.snapshot.fitting) == 7


async def test_sort_reverse_and_groups(app: LabApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "o", "o")
        assert "by name" in screen_text(pilot)
        first = table_text(pilot)[4]
        assert "baseline" in first
        await press(pilot, "O")
        assert "smollm2-135m-qlora-91bc" in table_text(pilot)[4]
        await press(pilot, "b")
        text = screen_text(pilot)
        assert "demo  3" in text
        assert "no study  4" in text


async def test_marks_choose_what_results_compare(app: LabApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "G", "space", "up", "up", "space")
        assert [folder.name.rpartition("-")[2] for folder in app.request.marked] == ["02d1", "4b1d"]
        assert screen_text(pilot).count("◆") == 2
        await press(pilot, "4")
        assert "2 marked runs" in screen_text(pilot)
        await press(pilot, "2", "u")
        assert app.request.marked == ()
        assert "◆" not in screen_text(pilot)


async def test_a_log_is_peeked_at_and_followed(app: LabApp, home: Path) -> None:
    log = RunPaths(home / "runs" / LIVE.run_id).log
    log.write_text("".join(f"line {n}\n" for n in range(100)) + "50%\r99%\x1b[31m red\n")
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "l")
        assert isinstance(app.screen, LogPanel)
        text = screen_text(pilot)
        assert "99% red" in text
        assert "50%" not in text
        assert "line 3 " not in text
        with log.open("a") as file:
            file.write("one more\n")
        app.ask()
        await settle(pilot)
        assert "one more" in screen_text(pilot)
        await press(pilot, "home")
        assert "line 0" in screen_text(pilot)
        await press(pilot, "escape")
        assert app.request.log is None


async def test_stop_asks_first_and_then_asks_the_worker(app: LabApp, home: Path) -> None:
    run = RunPaths(home / "runs" / LIVE.run_id)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "x")
        assert isinstance(app.screen, ConfirmPanel)
        for key in ("enter", "space", "q"):
            await press(pilot, key)
        assert not run.stop.exists()
        await press(pilot, "n")
        assert not run.stop.exists()
        await press(pilot, "x", "y")
        await wait_for(pilot, run.stop.exists)
        wish = json.loads(run.stop.read_text())
        assert (wish["mode"], wish["who"]) == ("save", "the console")
        await press(pilot, "x")
        assert "asked already" in screen_text(pilot)


async def test_a_second_stop_offers_signals(app: LabApp, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    RunPaths(home / "runs" / LIVE.run_id).stop.write_text("{}")
    ended: list[Path] = []
    monkeypatch.setattr(acts, "end_now", lambda folder: (ended.append(folder), acts.Done("done"))[1])
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "x", "y")
        assert not ended
        await press(pilot, "k")
        await wait_for(pilot, lambda: bool(ended))
        assert ended[0].name == LIVE.run_id


async def test_only_what_has_stopped_is_resumed(app: LabApp, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resumed: list[Path] = []
    monkeypatch.setattr(acts, "go_on", lambda folder: (resumed.append(folder), acts.Done("goes on", folder))[1])
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "r")
        assert not isinstance(app.screen, ConfirmPanel)
        await press(pilot, "down", "r", "y")
        await wait_for(pilot, lambda: bool(resumed))
        await wait_for(pilot, lambda: app.current_mode == "live")
        assert resumed[0].name.endswith("5e5e")


@pytest.mark.parametrize("step", [0, 50])
async def test_resuming_says_from_which_step(app: LabApp, home: Path, step: int) -> None:
    lost = next((home / "runs").glob("*5e5e"))
    if step:
        checkpoint = RunPaths(lost).checkpoints / f"checkpoint-{step}"
        checkpoint.mkdir(parents=True)
        (checkpoint / "weights").write_text("w")
        (checkpoint / "complete.json").write_text('{"files": {"weights": 1}}')
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "down")
        assert ("r goes on from step 50." if step else "r starts over from step 0.") in screen_text(pilot)
        await press(pilot, "r")
        assert ("A new worker goes on from step 50." if step else "starts over from step 0") in screen_text(pilot)


async def test_a_shorter_list_and_a_taller_screen_leave_no_room_empty(app: LabApp) -> None:
    async with app.run_test(size=(80, 15)) as pilot:
        await settle(pilot)
        await press(pilot, "G")
        assert "baseline" in screen_text(pilot)
        await pilot.resize_terminal(80, 24)
        await settle(pilot)
        assert "smollm2-135m-qlora-91bc" in screen_text(pilot)
        await pilot.resize_terminal(80, 15)
        await settle(pilot)
        await press(pilot, "slash")
        await type_text(pilot, "method=qlora")
        assert all(name in screen_text(pilot) for name in ("91bc", "a1b2", "QLoRA"))


async def test_a_long_reason_leaves_its_remedy_to_the_last_line(app: LabApp, home: Path) -> None:
    state = RunPaths(home / "runs" / FAILED).state
    record = json.loads(state.read_text())
    record["end"] |= {"reason": "The loss is NaN at step 57. " * 3, "remedy": "Lower train.learning_rate."}
    state.write_text(json.dumps(record))
    async with app.run_test(size=(200, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "down", "down", "down")
        at = next(index for index, line in enumerate(table_text(pilot)) if "Lower train." in line)
        assert "The loss is NaN" in table_text(pilot)[at]
        await pilot.resize_terminal(80, 24)
        await settle(pilot)
        line = next(line for line in table_text(pilot) if "Lower train." in line)
        assert line.strip().startswith("Lower train.learning_rate. It stands at 57 steps.")


async def test_long_lines_of_a_log_are_folded(app: LabApp, home: Path) -> None:
    log = RunPaths(home / "runs" / LIVE.run_id).log
    log.write_text("first\n" + "word " * 40 + "the end\n")
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "l")
        assert "the end" in screen_text(pilot)
        await pilot.resize_terminal(60, 24)
        await settle(pilot)
        assert "the end" in screen_text(pilot)
        assert "first" in screen_text(pilot)


async def test_labels(app: LabApp, home: Path) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "n")
        assert isinstance(app.screen, FormPanel)
        await type_text(pilot, "best")
        await press(pilot, "enter")
        await type_text(pilot, "x, y")
        await press(pilot, "enter", "enter")
        run = RunPaths(home / "runs" / LIVE.run_id)
        await wait_for(pilot, lambda: read_labels(run).name == "best")
        assert read_labels(run).tags == ("x", "y")
        app.ask()
        await settle(pilot)
        assert "best" in screen_text(pilot)


async def test_delete_asks_and_never_deletes_what_lives(app: LabApp, home: Path) -> None:
    failed = home / "runs" / FAILED
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "d")
        assert not isinstance(app.screen, ConfirmPanel)
        await press(pilot, "down", "down", "down", "d")
        assert FAILED in screen_text(pilot)
        await press(pilot, "n")
        assert failed.exists()
        await press(pilot, "d", "y")
        await wait_for(pilot, lambda: not failed.exists())
        assert (home / "runs" / LIVE.run_id).exists()


async def test_deleting_what_others_build_on_names_them(app: LabApp, home: Path) -> None:
    user = home / "runs" / "20261122-0400-built-on-it-0001"
    user.mkdir()
    (user / "profile.toml").write_text(f'[model]\nadapter = "run:{FAILED}"\n')
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "down", "down", "down", "d")
        assert f"{user.name} cannot be used without it" in screen_text(pilot)
        await press(pilot, "n")


async def test_archived_runs_leave_the_list_and_come_back(app: LabApp, home: Path) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "down", "a")
        await wait_for(pilot, lambda: any(row.archived for row in app.snapshot.runs))
        assert "full-5e5e" not in screen_text(pilot)
        assert "1 archived: A shows them" in screen_text(pilot)
        await press(pilot, "A")
        assert "?  archived    smollm2-135m-full-5e5e" in screen_text(pilot)
        assert "A shows them" not in screen_text(pilot)
        await press(pilot, "up")
        assert "lost, archived: a puts it back" in screen_text(pilot)


async def test_a_list_of_archived_runs_says_how_to_see_them(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", Plan(labels=Labels(archived=True)))
    app = make_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert "Every run that fits is archived: A shows them." in screen_text(pilot)


async def test_the_column_that_is_sorted_by_is_there(app: LabApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert " Wh" not in screen_text(pilot)
        await press(pilot, *["o"] * 5)
        assert "by energy" in screen_text(pilot)
        assert " Wh" in screen_text(pilot)


async def test_a_list_that_is_longer_than_the_screen_says_where_it_stands(app: LabApp) -> None:
    async with app.run_test(size=(80, 14)) as pilot:
        await settle(pilot)
        assert "run  1-7 of 7" not in screen_text(pilot)
        await pilot.resize_terminal(80, 11)
        await settle(pilot)
        assert "run  1-6 of 7" in screen_text(pilot)
        await press(pilot, "G")
        assert "run  2-7 of 7" in screen_text(pilot)


async def test_what_is_refused_is_said_in_two_sentences(app: LabApp, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, bool]] = []
    monkeypatch.setattr(app, "say", lambda text, failed=False: said.append((text, failed)))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "down", "r", "y")
        await wait_for(pilot, lambda: bool(said))
        text, failed = said[0]
        assert failed
        assert "origin.json" in text
        assert "Start it anew" in text

"""Profiles, Runs, Results, Samples and System as a person drives them; what writes is asked for first."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from lab.console import acts, planning
from lab.console.app import LabApp
from lab.console.keys import KEYS
from lab.console.screens.confirm import ConfirmPanel
from lab.console.screens.form import FormPanel
from lab.console.screens.logpeek import LogPanel
from lab.console.screens.plan import PlanPanel
from lab.runs.labels import read_labels
from lab.runs.paths import RunPaths
from tests.console.conftest import make_app
from tests.console.driving import press, screen_text, settle
from tests.fixtures.console_runs import LIVE

FAILED = "20261122-0215-smollm2-135m-lora-c0de"
Typed = Callable[..., Any]


async def type_text(pilot: Pilot[None], text: str) -> None:
    """Type into the line that has the focus."""
    for character in text:
        await pilot.press({" ": "space"}.get(character, character) if not character.isupper() else character)
    await settle(pilot)


async def wait_for(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    for _ in range(200):
        if condition():
            return
        await pilot.pause(0.02)
    raise AssertionError("it never came")


@pytest.fixture
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with one good and one broken profile beside the packed ones."""
    work = tmp_path / "work"
    (work / "profiles").mkdir(parents=True)
    (work / "profiles" / "mine.toml").write_text('extends = "demo-lora"\n[method]\nrank = 4\n')
    (work / "profiles" / "wrong.toml").write_text("[method]\nrnk = 4\n")
    monkeypatch.chdir(work)
    return work


def table_text(pilot: Pilot[None]) -> list[str]:
    return screen_text(pilot).splitlines()


# runs


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


async def test_labels(app: LabApp, home: Path) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "n")
        assert isinstance(app.screen, FormPanel)
        await type_text(pilot, "best")
        await press(pilot, "down")
        await type_text(pilot, "x, y")
        await press(pilot, "enter")
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


async def test_archived_runs_leave_the_list_and_come_back(app: LabApp, home: Path) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "down", "a")
        await wait_for(pilot, lambda: any(row.archived for row in app.snapshot.runs))
        assert "full-5e5e" not in screen_text(pilot)
        await press(pilot, "A")
        assert "full-5e5e" in screen_text(pilot)


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


# profiles


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

    def start(resolved: Any, *, labels: Any) -> RunPaths:
        rows.append(labels.row)
        return RunPaths(home / "runs" / LIVE.run_id)

    monkeypatch.setattr(acts, "start", start)
    monkeypatch.setenv("LAB_HOME", str(home))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "1", "enter", "y")
        await wait_for(pilot, lambda: app.current_mode == "live")
        assert rows == ["baseline", "LoRA", "QLoRA"]


async def test_a_copy_is_checked_as_one_types_and_saved(app: LabApp, profiles: Path) -> None:
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "1", "slash")
        await type_text(pilot, "mine")
        await press(pilot, "enter", "e")
        await type_text(pilot, "method.rnk=8")
        assert "Did you mean 'rank'?" in screen_text(pilot)
        await press(pilot, "enter")
        assert isinstance(app.screen, FormPanel)
        await press(pilot, *["backspace"] * 4)
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


async def test_a_plan_comes_from_a_child_process(app: LabApp, profiles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import sys, time; print('reading data', file=sys.stderr, flush=True); "
        "print('plan of', sys.argv[1], '\\x1b]0;x\\x07[red]', *sys.argv[2:])"
    )
    monkeypatch.setattr(planning.Planning.__init__, "__kwdefaults__", {"command": (sys.executable, "-c", code)})
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "1", "down", "v")
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
        await press(pilot, "1", "down", "v")
        panel = app.screen
        assert isinstance(panel, PlanPanel)
        assert panel._planning is not None
        process = panel._planning._process
        await press(pilot, "escape")
        await wait_for(pilot, lambda: process.poll() is not None)


# results


async def results_ready(pilot: Pilot[None], app: LabApp) -> None:
    await settle(pilot)
    await press(pilot, "4")
    await wait_for(pilot, lambda: app.snapshot.results is not None and app.snapshot.results.tested)
    await settle(pilot)


async def test_results_show_the_newest_study_with_its_best(app: LabApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await results_ready(pilot, app)
        text = screen_text(pilot)
        for part in ("study demo", "baseline", "LoRA", "QLoRA", ".71*", "Energy: no GPU, not measured"):
            assert part in text, part


async def test_results_are_sorted_by_key_and_by_mouse(app: LabApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await results_ready(pilot, app)
        await press(pilot, "o")
        assert "by JSON match" in screen_text(pilot)
        assert table_text(pilot)[4].split()[0] == "LoRA"
        await press(pilot, "O")
        assert table_text(pilot)[4].split()[0] == "baseline"
        titles = table_text(pilot)[3]
        await pilot.click("#results-table", offset=(titles.index("token F1"), 0))
        await settle(pilot)
        assert "by token F1" in screen_text(pilot)


async def test_results_have_three_views(app: LabApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await results_ready(pilot, app)
        await press(pilot, "v")
        assert "▆▆▆" in screen_text(pilot)
        assert "more is better" in screen_text(pilot)
        await press(pilot, "v")
        await wait_for(pilot, lambda: app.snapshot.overlay is not None)
        await settle(pilot)
        assert "━━ LoRA" in screen_text(pilot)
        assert len(app.snapshot.overlay.curves) == 2  # type: ignore[union-attr]
        before = dict(app.snapshot.colours)
        app.mark(next(row.folder for row in app.snapshot.runs if row.title == "QLoRA"))
        await settle(pilot)
        assert dict(app.snapshot.colours).items() <= before.items()
        await press(pilot, "y", "s")
        await settle(pilot)
        assert app.snapshot.overlay is not None
        assert app.snapshot.overlay.log


async def test_columns_that_have_no_room_are_reached(app: LabApp) -> None:
    async with app.run_test(size=(60, 20)) as pilot:
        await results_ready(pilot, app)
        assert "peak memory" not in screen_text(pilot)
        await press(pilot, *["right"] * 5)
        assert "peak memory" in screen_text(pilot)
        await press(pilot, "left", "h", "left", "left", "left", "left")
        assert "JSON match" in screen_text(pilot)


async def test_the_comparison_can_be_read_in_full(app: LabApp) -> None:
    async with app.run_test(size=(120, 50)) as pilot:
        await results_ready(pilot, app)
        await press(pilot, "n")
        text = screen_text(pilot)
        for part in ("Signatures", "Notes", "Differences to baseline", "p<.001"):
            assert part in text, part


@pytest.mark.parametrize("suffix", ["md", "csv", "json"])
async def test_results_are_exported(app: LabApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    monkeypatch.chdir(tmp_path)
    async with app.run_test(size=(100, 30)) as pilot:
        await results_ready(pilot, app)
        await press(pilot, "e")
        await press(pilot, "end", *["backspace"] * 2)
        assert "End the name on" in screen_text(pilot)
        await type_text(pilot, suffix)
        await press(pilot, "enter")
        file = tmp_path / f"comparison.{suffix}"
        await wait_for(pilot, file.exists)
        assert "LoRA" in file.read_text()


async def test_a_table_is_made_anew_only_when_its_runs_change(
    app: LabApp, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await results_ready(pilot, app)
        before = app.snapshot.results
        app.ask()
        await settle(pilot)
        assert app.snapshot.results is before
        lora = next(row for row in app.snapshot.runs if row.title == "LoRA")
        acts.label(lora.folder, name="", tags="changed", notes="")
        app.ask()
        await settle(pilot)
        assert app.snapshot.results is not before


# samples


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
        assert "worst first" in screen_text(pilot)
        assert "row-17" in screen_text(pilot)
        await press(pilot, "o")
        assert "widest disagreement first" in screen_text(pilot)
        await press(pilot, "slash")
        await type_text(pilot, "LAMP")
        assert "of 5" in screen_text(pilot)
        assert "charged me twice" in screen_text(pilot)
        await press(pilot, "escape")
        assert "of 24" in screen_text(pilot)


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


# system, palette, read-only


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

"""The Results page as a person drives it: table, bars, curves, export."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from lab.console import acts
from lab.console.app import LabApp
from lab.runs.labels import Labels, write_labels
from lab.runs.paths import RunPaths
from tests.console.driving import press, screen_text, settle, table_text, type_text, wait_for
from tests.fixtures.console_runs import MESSAGES
from tests.fixtures.folders import add_evaluation, answered

FAILED = "20261122-0215-smollm2-135m-lora-c0de"
Typed = Callable[..., Any]


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


async def test_floor_and_ceiling_frame_the_rows_and_compete_with_nobody(app: LabApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await results_ready(pilot, app)
        names = [line.split()[0] for line in table_text(pilot)[4:9]]
        assert names == ["floor", "baseline", "LoRA", "QLoRA", "ceiling"]
        assert "1.00" in table_text(pilot)[8]
        await press(pilot, "o")
        names = [line.split()[0] for line in table_text(pilot)[4:9]]
        assert names == ["LoRA", "QLoRA", "baseline", "floor", "ceiling"]
        await press(pilot, "enter")
        assert app.current_mode == "live"
        await press(pilot, "4", "G", "enter", "space")  # a floor is no run: nothing to watch or to mark
        assert app.current_mode == "results"
        assert app.request.marked == ()
        await press(pilot, "v", "v")
        await wait_for(pilot, lambda: app.snapshot.overlay is not None)
        await settle(pilot)
        legend = next(line for line in table_text(pilot) if "━━" in line)
        assert "floor" not in legend


async def test_the_untuned_model_stands_beside_marked_runs(app: LabApp, home: Path) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        app.mark(home / "runs" / "20261122-0200-smollm2-135m-lora-7f3a")
        await results_ready(pilot, app)
        text = screen_text(pilot)
        assert "1 marked run" in text
        assert "baseline is the untuned model on the same rows" in text.replace("\n", " ")


async def test_exported_artefacts_stand_behind_their_run(app: LabApp, home: Path) -> None:
    run = RunPaths(home / "runs" / "20261122-0200-smollm2-135m-lora-7f3a")
    spec = {"hash": "a" * 12, "kind": "artifact", "weights": "Q4_K_M", "bytes": 91_000_000}
    wanted = [json.dumps({"product": p, "category": c, "urgency": u}) for _, p, c, u in MESSAGES] * 5
    add_evaluation(run, answered(wanted[:24], wanted[:24]), spec=spec)
    async with app.run_test(size=(120, 36)) as pilot:
        await results_ready(pilot, app)
        lines = table_text(pilot)
        place = next(index for index, line in enumerate(lines) if line.strip().startswith("LoRA Q4_K_M"))
        assert lines[place - 1].strip().startswith("LoRA ")
        await press(pilot, "g", *["down"] * (place - 4), "enter")
        assert app.snapshot.live is not None
        assert app.snapshot.live.row.folder == run.folder
        await press(pilot, "5")  # answers are those of runs
        assert app.snapshot.answers is not None
        assert [label for _, label in app.snapshot.answers.labels] == ["baseline", "LoRA", "QLoRA"]


async def test_studies_are_compared_in_turn(app: LabApp, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(app, "say", lambda text, failed=False: said.append(text))
    lora = RunPaths(home / "runs" / "20261122-0200-smollm2-135m-lora-7f3a")
    write_labels(lora, Labels(study="other", row="LoRA"))
    async with app.run_test(size=(120, 36)) as pilot:
        await results_ready(pilot, app)
        seen = []
        for _ in range(4):
            assert app.snapshot.results is not None
            seen.append(app.snapshot.results.title)
            await press(pilot, "b")
        assert seen == ["study demo", "study other", "the newest evaluated runs", "study demo"]
        app.mark(lora.folder)
        await press(pilot, "b")
        assert said
        assert "marked runs are compared" in said[0]

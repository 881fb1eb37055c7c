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
from lab.console.charts import Pen
from lab.console.looks import Looks
from lab.console.plot import ASCII
from lab.console.results import OverlayReader
from lab.console.widgets.blocks import Blocks
from lab.console.widgets.chart import legend_lines
from lab.runs.labels import Labels, write_labels
from lab.runs.paths import RunPaths
from tests.console.conftest import make_app
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
        assert "━━━ LoRA" in screen_text(pilot)
        assert len(app.snapshot.overlay.curves) == 2  # type: ignore[union-attr]
        before = dict(app.snapshot.pens)
        app.mark(next(row.folder for row in app.snapshot.runs if row.title == "QLoRA"))
        await settle(pilot)
        assert dict(app.snapshot.pens).items() <= before.items()
        await press(pilot, "y", "s")
        await settle(pilot)
        assert app.snapshot.overlay is not None
        assert app.snapshot.overlay.log


async def test_columns_that_have_no_room_are_reached(app: LabApp) -> None:
    async with app.run_test(size=(60, 20)) as pilot:
        await results_ready(pilot, app)
        assert "peak memory" not in screen_text(pilot)
        assert "columns 1-3 of 7  ← →" in screen_text(pilot)
        await press(pilot, *["right"] * 9)
        assert "peak memory" in screen_text(pilot)
        assert "columns 5-7 of 7" in screen_text(pilot)  # no column is given up for an empty place
        await press(pilot, "left", "h", "left", "left", "left", "left")
        assert "JSON match" in screen_text(pilot)
        await pilot.resize_terminal(140, 36)
        await settle(pilot)
        assert "columns" not in screen_text(pilot)


async def test_the_column_that_is_sorted_by_comes_into_sight(app: LabApp) -> None:
    async with app.run_test(size=(60, 20)) as pilot:
        await results_ready(pilot, app)
        await press(pilot, *["o"] * 6)
        assert "by peak memory   columns 4-6 of 7" in screen_text(pilot)
        await press(pilot, "o", "o", "o")
        assert "by JSON match   columns 1-3 of 7" in screen_text(pilot)


async def test_bars_follow_the_order_of_the_table_and_are_moved_through(app: LabApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await results_ready(pilot, app)
        await press(pilot, "o", "o", "o", "O", "v")
        assert app.screen.query_one(Blocks).place == 14  # two figures of five rows stand above

        def names() -> list[str]:
            return [line.split()[0] for line in table_text(pilot)[3:9] if line.strip()]

        assert names() == ["token", "baseline", "QLoRA", "LoRA", "floor", "ceiling"]
        await press(pilot, "right")
        assert "train time  less is better" in table_text(pilot)[3]
        await press(pilot, "down", "left")
        assert "train time" in table_text(pilot)[3]
        await press(pilot, "left", "left", "left", "left")
        assert "JSON match" in table_text(pilot)[3]
        assert "lines 1-" in table_text(pilot)[2]
        await press(pilot, "end")
        assert "-41 of 41" in table_text(pilot)[2]
        await press(pilot, "pageup", "home")
        assert "lines 1-" in table_text(pilot)[2]


async def test_without_a_cursor_nothing_is_marked(app: LabApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await results_ready(pilot, app)
        await press(pilot, "down", "v", "space", "enter")
        assert app.request.marked == ()
        assert app.current_mode == "results"


async def test_an_empty_page_has_one_view(empty_home: Path) -> None:
    app = make_app(empty_home)
    async with app.run_test(size=(60, 20)) as pilot:
        await settle(pilot)
        await press(pilot, "4", "v", "v")
        assert "Nothing to compare yet" in screen_text(pilot)
        assert "lab demo --quick" in screen_text(pilot)


def test_no_two_runs_of_a_chart_are_drawn_alike() -> None:
    folders = [Path(str(number)) for number in range(30)]
    reader = OverlayReader()
    first = reader.pens(folders[:8])
    assert [turn for _, turn in first.values()] == [0] * 6 + [1] * 2
    later = reader.pens(folders[6:14])
    assert len(set(later.values())) == 8
    assert all(later[folder] == first[folder] for folder in folders[6:8])
    both = reader.pens(folders[:14])
    assert len(set(both.values())) == 14
    assert len(reader.pens(folders)) == 30  # more than there are pens


@pytest.mark.parametrize(
    ("width", "most", "expected"),
    [
        (60, 4, ["━━━ one   ━o━ two   ━+━ three"]),
        (20, 4, ["━━━ one   ━o━ two", "━+━ three"]),
        (20, 1, ["━━━ one   and 2 more"]),
    ],
)
def test_the_legend_tells_the_turns_apart_and_counts_what_it_leaves_out(
    width: int, most: int, expected: list[str]
) -> None:
    drawn: list[tuple[Pen, str]] = [(("main", 0), "one"), (("main", 1), "two"), (("main", 2), "three")]
    lines = legend_lines(drawn, width, most, Looks())
    assert ["".join(text for text, _ in line).rstrip() for line in lines] == expected
    assert [ASCII.sample(turn) for turn in (0, 1)] == ["***", "*o*"]


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

"""The list of runs: what it reads, what it does not read again, and what it says."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from lab.console.rows import short_id
from lab.console.runlist import RunList, sample_losses
from lab.console.widgets.bars import progress, sparkline
from lab.runs.labels import Labels, write_labels
from tests.fixtures.console_runs import LIVE, Plan, hold, some_runs, write_run


def test_states_come_from_the_folders(tmp_path: Path) -> None:
    some_runs(tmp_path)
    states = {row.title: row.state for row in RunList(tmp_path).read()}
    assert states["LoRA"] == "completed"
    assert states["smollm2-135m-full-5e5e"] == "lost"
    assert states["smollm2-135m-qlora-91bc"] == "lost"  # nobody holds its lock


def test_a_held_lock_means_alive(tmp_path: Path) -> None:
    run = write_run(tmp_path, LIVE)
    hold(run)
    (row,) = RunList(tmp_path).read()
    assert (row.state, row.alive, row.live) == ("training", True, True)


def test_the_newest_comes_first(tmp_path: Path) -> None:
    some_runs(tmp_path)
    created = [row.created for row in RunList(tmp_path).read()]
    assert created == sorted(created, reverse=True)


def test_an_ended_run_is_read_again_only_when_its_files_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_run(tmp_path, Plan())
    runs = RunList(tmp_path)
    before = runs.read()
    asked: list[Path] = []

    def counted(run: object) -> None:
        asked.append(run.folder)  # type: ignore[attr-defined]

    monkeypatch.setattr("lab.console.runlist.read_run", counted)
    assert runs.read() == before
    assert not asked
    write_labels(run, Labels(name="renamed"))
    runs.read()
    assert asked == [run.folder]


def test_a_folder_that_is_no_run_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    (tmp_path / "file").touch()
    assert RunList(tmp_path).read() == ()
    assert RunList(tmp_path / "missing").read() == ()


@pytest.mark.parametrize("done", [0, 1, 2, 5, 300, 5000])
def test_the_curve_is_spread_over_the_run_and_no_step_counts_twice(tmp_path: Path, done: int) -> None:
    run = write_run(tmp_path, Plan(done=done, total=max(done, 1), telemetry=False, loss=lambda step, seed: float(step)))
    losses = sample_losses(run.events)
    assert list(losses) == sorted(set(losses))
    assert len(losses) <= 24
    if done:
        assert losses[0] == 1.0
        assert losses[-1] > done * 0.9
        assert len(losses) == min(done, len(losses))


@pytest.mark.parametrize(
    ("run_id", "short"),
    [
        ("20261122-0110-smollm2-qlora-7f3a", "smollm2-qlora-7f3a"),
        ("mine", "mine"),
        ("a-b-c-d", "a-b-c-d"),
        ("2026-x", "2026-x"),
    ],
)
def test_ids_lose_their_date_in_lists(run_id: str, short: str) -> None:
    assert short_id(run_id) == short


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([], ""),
        ([1.0], "▅"),
        ([2.0, 2.0, 2.0], "▅▅▅"),
        ([0.0, 7.0], "▁█"),
        ([0.0, math.nan, 7.0, math.inf], "▁×█×"),
        ([math.nan], "×"),
    ],
)
def test_sparklines(values: list[float], line: str) -> None:
    assert sparkline(values, 10) == line


def test_a_sparkline_is_never_wider_than_its_place_and_plain_where_asked() -> None:
    values = [float(x % 7) for x in range(500)]
    assert len(sparkline(values, 12)) == 12
    assert sparkline(values, 12, plain=True).isascii()


@pytest.mark.parametrize("share", [None, 0.0, 0.333, 1.0, 5.0, -1.0])
def test_bars_fill_their_width(share: float | None) -> None:
    (full, _), (rest, _) = progress(share, 20)
    assert len(full) + len(rest) == 20


def test_a_damaged_state_does_not_break_the_list(tmp_path: Path) -> None:
    run = write_run(tmp_path, Plan())
    write_run(tmp_path, replace(Plan(), run_id="20261122-0201-other-aaaa"))
    run.state.write_text('{"state": "completed", "step": "many", "summary": 7, "total_steps": "x", "end": []}')
    rows = {row.id: row for row in RunList(tmp_path).read()}
    assert rows[run.id].step == 0
    assert rows[run.id].loss is None
    assert len(rows) == 2

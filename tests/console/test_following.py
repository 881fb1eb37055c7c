"""Events and telemetry are followed byte by byte: piecewise equals at once, resumes rewind, nonsense is counted."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from lab.console.curves import RunCurves
from lab.console.live import LiveReader
from lab.console.meters import RunMeters
from lab.console.request import View
from lab.console.rows import row_of
from lab.runs.history import read_history
from lab.runs.paths import RunPaths
from lab.runs.store import read_run
from lab.telemetry.energy import energy
from tests.fixtures.console_runs import START, Plan, write_run


def step(number: int, *, attempt: int = 1, t: float | None = None, **fields: Any) -> dict[str, Any]:
    at = START + number if t is None else t
    base = {"type": "step", "t": at, "attempt": attempt, "step": number, "loss": 3.0 / number, "tokens": 100}
    return {**base, "seconds": 1.0, **fields}


def phase(name: str, t: float, attempt: int = 1) -> dict[str, Any]:
    return {"type": "phase", "t": t, "attempt": attempt, "step": 0, "phase": name}


def append(path: Path, records: list[dict[str, Any]]) -> None:
    with path.open("a") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)


@pytest.fixture
def run(tmp_path: Path) -> RunPaths:
    (tmp_path / "a-run").mkdir()
    return RunPaths(tmp_path / "a-run")


def test_reading_in_pieces_gives_what_reading_at_once_gives(tmp_path: Path) -> None:
    whole = write_run(tmp_path, Plan())
    data = whole.events.read_bytes()
    growing = RunPaths(tmp_path / "growing")
    growing.folder.mkdir()
    piecewise = RunCurves(growing)
    rng = random.Random(1)
    place = 0
    while place < len(data):
        size = rng.randrange(1, 4000)
        with growing.events.open("ab") as file:
            file.write(data[place : place + size])
        place += size
        piecewise.read(1.0)
    history = read_history(whole)
    assert list(piecewise.columns["loss"].y) == history.curves["loss"]
    assert list(piecewise.times.y) == history.times
    assert piecewise.history.evals == history.evals
    assert piecewise.history.end == history.end
    assert piecewise.read_share == 1.0


def test_reading_stops_at_its_budget_and_goes_on(run: RunPaths) -> None:
    append(run.events, [step(n) for n in range(1, 20_001)])
    curves = RunCurves(run)
    ticks = iter(range(100))
    assert curves.read(0.0, clock=lambda: float(next(ticks)))
    assert 0 < curves.step < 20_000
    assert curves.read_share < 1
    while curves.read(0.0):
        pass
    assert curves.step == 20_000


def test_a_resume_drops_the_steps_that_it_replays(run: RunPaths) -> None:
    append(run.events, [phase("training", START), *(step(n) for n in range(1, 41))])
    curves = RunCurves(run)
    curves.read(1.0)
    curves.smoothed.follow(0.9)
    later = START + 5000
    append(
        run.events,
        [
            phase("training", later, attempt=2),
            {"type": "resume", "t": later, "attempt": 2, "step": 20, "from_step": 20},
            *(step(n, attempt=2, t=later + n, loss=9.0) for n in range(21, 31)),
        ],
    )
    curves.read(1.0)
    assert curves.step == 30
    assert list(curves.columns["loss"].x) == list(curves.pace.x) == [float(n) for n in range(1, 31)]
    assert set(curves.columns["loss"].y[20:]) == {9.0}
    smoothed = curves.smoothed.follow(0.9)
    assert len(smoothed) == 30
    assert smoothed.y[20] > smoothed.y[19]


@pytest.mark.parametrize("replayed", [2, 10, 20])
def test_the_eta_is_right_within_twenty_steps_of_a_resume(run: RunPaths, replayed: int) -> None:
    append(run.events, [phase("training", START), *(step(n, t=START + n * 5) for n in range(1, 101))])
    later = START + 90_000
    resume = {"type": "resume", "t": later, "attempt": 2, "step": 50, "from_step": 50}
    append(run.events, [phase("training", later, attempt=2), resume])
    append(run.events, [step(50 + n, attempt=2, t=later + n * 2) for n in range(1, replayed + 1)])
    curves = RunCurves(run)
    curves.read(1.0)
    assert curves.eta(150) == pytest.approx((100 - replayed) * 2)


def test_a_resume_that_has_done_nothing_yet_shows_where_it_stands(run: RunPaths) -> None:
    append(run.events, [phase("training", START), *(step(n) for n in range(1, 11))])
    append(run.events, [{"type": "resume", "t": START + 99, "attempt": 2, "step": 0, "from_step": 0}])
    curves = RunCurves(run)
    curves.read(1.0)
    assert curves.step == 0
    assert curves.eta(100) is None


@pytest.mark.parametrize(
    "nonsense",
    [
        {"type": "step"},
        {"type": "step", "step": "nan", "t": 1.0},
        {"type": "step", "step": 5, "t": None, "loss": 1.0},
        {"type": "phase"},
        {"type": "phase", "t": "yesterday", "phase": "training"},
        {"type": "eval", "loss": 1.0, "step": "x"},
        {"type": "resume", "from_step": []},
        {"type": "end"},
        {"type": 7},
        {"attempt": "one", "type": "alert"},
    ],
    ids=str,
)
def test_events_that_make_no_sense_are_passed_over(run: RunPaths, nonsense: dict[str, Any]) -> None:
    append(run.events, [step(1), nonsense, step(2)])
    curves = RunCurves(run)
    curves.read(1.0)
    assert list(curves.times.x) == [1.0, 2.0]


def test_energy_by_pieces_is_the_energy_of_the_whole(run: RunPaths, tmp_path: Path) -> None:
    samples = [
        {"t": START + n, "attempt": 1, "gpus": [{"uuid": "G", "watts": 100.0 + n, "limit_watts": 700.0}]}
        for n in range(100)
    ]
    meters = RunMeters(run)
    for start in range(0, 100, 7):
        append(run.telemetry, samples[start : start + 7])
        meters.read(1.0)
    whole = energy(samples, START, START + 99)
    assert whole is not None
    assert meters.joules == pytest.approx(whole.joules)
    assert meters.limit_watts == 700.0


def test_without_a_gpu_there_are_no_watts(run: RunPaths) -> None:
    append(run.telemetry, [{"t": START + n, "gpus": None, "cpu_percent": 50.0, "process_bytes": 7} for n in range(3)])
    meters = RunMeters(run)
    meters.read(1.0)
    assert meters.joules is None
    assert meters.last["watts"] is None
    assert not meters.has_gpu
    assert list(meters.columns["cpu_percent"].y) == [50.0] * 3


def test_a_pause_between_attempts_takes_no_room_and_breaks_the_line(run: RunPaths) -> None:
    times = [0, 1, 2, 90_000, 90_001]
    append(run.telemetry, [{"t": START + t, "gpus": None, "cpu_percent": 50.0} for t in times])
    meters = RunMeters(run)
    meters.read(1.0)
    assert meters.x < 10
    assert meters.columns["cpu_percent"].y_bounds.nonfinite == 1
    assert meters.at(START + 90_000) > meters.at(START + 2)


def test_the_cursor_reads_what_belongs_to_its_step_alone(tmp_path: Path) -> None:
    run = write_run(tmp_path, Plan(state="training", done=0, total=9))
    append(run.events, [step(n, seconds=float(n)) for n in range(1, 5)])
    append(run.telemetry, [{"t": START + n, "gpus": None, "cpu_percent": 10.0 * n} for n in range(1, 5)])
    info = read_run(run)
    assert info is not None
    reader = LiveReader(run)
    reader.read()
    newest = reader.live(row_of(info), View())
    assert (newest.tokens_per_second, newest.meter("cpu_percent")) == (pytest.approx(400 / 10), 40.0)
    at_two = reader.live(row_of(info), View(cursor=2))
    assert (at_two.tokens_per_second, at_two.meter("cpu_percent")) == (50.0, 20.0)
    assert at_two.meter("watts") is None


def test_nothing_is_near_where_nothing_was_measured(run: RunPaths) -> None:
    assert set(RunMeters(run).near(START).values()) == {None}
    assert set(RunMeters(run).near(None).values()) == {None}


def test_charts_are_made_anew_once_a_second_or_when_asked_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("lab.console.live.time.monotonic", lambda: now[0])
    run = write_run(tmp_path, Plan(state="training", done=10, total=50))
    info = read_run(run)
    assert info is not None
    reader, row = LiveReader(run), row_of(info)
    reader.read()
    first = reader.live(row, View()).charts
    append(run.events, [step(11)])
    now[0] += 0.4
    reader.read()
    early = reader.live(row, View())
    assert early.charts is first
    assert early.step == 11
    assert reader.live(row, View(smoothing=0.0)).charts is not first
    now[0] += 1.1
    reader.read()
    assert reader.live(row, View(smoothing=0.0)).charts[0].curves[0].xs[-1] == 11.0

"""A console that stays open: 2,000 updates of a run leave its memory where it was."""

from __future__ import annotations

import ctypes
import gc
import os
from pathlib import Path

import psutil
import pytest
from textual.pilot import Pilot

from lab.runs.appendlog import AppendLog
from lab.runs.writer import RunWriter
from tests.console.conftest import make_app
from tests.console.driving import press, settle
from tests.fixtures.console_runs import START, Plan, falling, hold, sample, write_run, write_step

WARM, UPDATES = 300, 2000
MOST_GROWTH = 5_000_000


def held_memory() -> int:
    """Return the bytes of RAM that are in use, without what other tests of this process have left behind."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return psutil.Process().memory_info().rss


@pytest.mark.slow
async def test_memory_is_flat_over_two_thousand_updates(tmp_path: Path) -> None:
    run = write_run(tmp_path / "runs", Plan(state="training", done=100, total=5000, gpu=True))
    handle, writer, meter = hold(run), RunWriter(run), AppendLog(run.telemetry)
    app = make_app(tmp_path)

    async def update(pilot: Pilot[None], step: int) -> None:
        write_step(writer, step, falling(step), total=5000)
        meter.append(sample(START + step, step, gpu=True))
        app.ask()
        while app.snapshot.live is None or app.snapshot.live.step < step:
            await pilot.pause(0.001)

    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        await press(pilot, "3")
        for step in range(101, 101 + WARM):
            await update(pilot, step)
        before = held_memory()
        for step in range(101 + WARM, 101 + WARM + UPDATES):
            await update(pilot, step)
        growth = held_memory() - before
        assert app.snapshot.live is not None
        assert app.snapshot.live.step == 100 + WARM + UPDATES
    meter.close()
    writer.close()
    os.close(handle)
    assert growth < MOST_GROWTH

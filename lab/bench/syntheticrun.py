"""Run folders without a model, for measuring what reads them. Called by `lab bench console`."""

from __future__ import annotations

import contextlib
import json
import math
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab import atomic
from lab.home import make_private
from lab.runs import lock
from lab.runs.appendlog import AppendLog
from lab.runs.events import event
from lab.runs.paths import RunPaths
from lab.runs.writer import RunWriter

LINES_AT_ONCE = 10_000


def make_folder(home: Path, name: str, steps: int) -> RunPaths:
    """Return a new run's folder with a state in which it trains for `steps`."""
    run = RunPaths(make_private(home / "runs" / name))
    now = time.time()
    atomic.write_json(
        run.state,
        {
            "schema": 1,
            "id": name,
            "profile": "synthetic",
            "profile_hash": "0" * 16,
            "method": "lora",
            "model": "no model",
            "created": now,
            "updated": now,
            "state": "training",
            "attempt": 1,
            "step": 0,
            "total_steps": steps,
            "device": "cpu",
            "summary": {},
            "end": None,
        },
    )
    return run


def step_fields(step: int) -> dict[str, Any]:
    """Return what a worker tells of one step, with a loss that falls and trembles."""
    return {
        "loss": 1.1 + 2.1 * math.exp(-step / 3000) + 0.1 * math.sin(step * 12.9898),
        "lr": 2e-4,
        "grad_norm": 0.6 + 0.3 * math.sin(step * 78.233),
        "tokens": 3000,
        "supervised": 900,
        "examples": 16,
        "seconds": 0.25,
        "memory_bytes": 1_250_000_000,
    }


def finished_run(home: Path, steps: int) -> RunPaths:
    """Write a completed run of `steps` step events."""
    run = make_folder(home, "20260101-0000-synthetic-long-0001", steps)
    writer = RunWriter(run)
    writer.phase("training")
    writer.close()
    with run.events.open("a", encoding="utf-8") as file:
        for first in range(1, steps + 1, LINES_AT_ONCE):
            chosen = range(first, min(first + LINES_AT_ONCE, steps + 1))
            file.write("".join(_line(step) for step in chosen))
    writer = RunWriter(run)
    writer.step = steps
    writer.end("completed")
    writer.close()
    return run


def _line(step: int) -> str:
    return json.dumps(event("step", attempt=1, step=step, **step_fields(step))) + "\n"


@contextlib.contextmanager
def living_run(home: Path, steps_per_second: float) -> Iterator[RunPaths]:
    """Keep a run in training at that pace, with a line of telemetry a second, until the block is left."""
    run = make_folder(home, "20260101-0001-synthetic-live-0002", 100_000)
    handle = lock.acquire(run.lock)
    lock.write_holder(handle)
    done = threading.Event()
    thread = threading.Thread(target=_live, args=(run, 1 / steps_per_second, done), daemon=True)
    thread.start()
    try:
        yield run
    finally:
        done.set()
        thread.join()
        os.close(handle)


def _live(run: RunPaths, pause: float, done: threading.Event) -> None:
    writer, meter = RunWriter(run), AppendLog(run.telemetry)
    writer.phase("training")
    sampled = 0.0
    while not done.wait(pause):
        writer.step += 1
        writer.emit("step", **step_fields(writer.step))
        writer.update()
        if time.monotonic() - sampled >= 1.0:
            sampled = time.monotonic()
            meter.append(_sample(writer.step))
    writer.end("stopped")
    writer.close()
    meter.close()


def _sample(step: int) -> dict[str, Any]:
    return {
        "schema": 1,
        "t": time.time(),
        "attempt": 1,
        "gpus": None,
        "process_bytes": 1_200_000_000 + step % 97 * 1_000_000,
        "cpu_percent": 90 + 9 * math.sin(step),
        "memory_used_bytes": 5_000_000_000,
        "memory_total_bytes": 16_000_000_000,
    }

"""What the console costs: to open, to watch, to leave alone, and to open over a very long run. `lab bench console`.

Everything is taken from outside, at the terminal's end of a pseudo-terminal: bytes, seconds, processor time.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from lab.bench.ptyscreen import Screen, opened
from lab.bench.syntheticrun import finished_run, living_run
from lab.errors import LabError

SIZE = (120, 36)
REPEATS = 3
WATCH_SECONDS = 20.0
QUIET_SECONDS = 8.0
SETTLE_SECONDS = 4.0
LIVE_PAGE = "3"
KEYS = ("s", "y", "y", "s", "?", "\x1b", "2", "3", "1", "3")
DOTS = tuple(chr(code) for code in range(0x2801, 0x2900))
"""Braille dots: what curves are drawn with."""


@dataclass(frozen=True)
class Figure:
    """One measured value; `target` is the most it may be."""

    name: str
    value: float
    unit: str
    target: float | None = None

    @property
    def met(self) -> bool | None:
        return None if self.target is None else self.value <= self.target

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "met": self.met}


def measure(events: int, progress: Callable[[str], None] = print) -> list[Figure]:
    """Return all figures.

    Args:
        events: step events of the long run.

    Raises:
        LabError: the console does not open.
    """
    progress("opening it")
    figures = first_paint()
    progress(f"watching a run for {WATCH_SECONDS:.0f} s")
    figures += watching()
    progress(f"writing a run of {events:,} events")
    figures += long_run(events, progress)
    return figures


def first_paint() -> list[Figure]:
    """Time the first screen against the import of the toolkit that draws it."""
    paints, imports = [], []
    with tempfile.TemporaryDirectory(prefix="lab-console-") as home:
        for number in range(REPEATS + 1):
            begin = time.perf_counter()
            subprocess.run([sys.executable, "-c", "import textual.app"], check=True)
            toolkit = time.perf_counter() - begin
            begin = time.perf_counter()
            with _console(Path(home)) as screen:
                _ready(screen)
                paint = time.perf_counter() - begin
            if number:  # the first round warms up
                paints.append(paint)
                imports.append(toolkit)
    ratio = statistics.median(paint / toolkit for paint, toolkit in zip(paints, imports, strict=True))
    return [
        Figure("first paint", statistics.median(paints), "s"),
        Figure("first paint against import textual.app", ratio, "times", 2.5),
    ]


def watching() -> list[Figure]:
    """Measure the Live page over a run of two steps a second, and over one at which nothing happens."""
    with tempfile.TemporaryDirectory(prefix="lab-console-") as place:
        home = Path(place)
        with living_run(home, steps_per_second=2.0), _console(home) as screen:
            _ready(screen)
            screen.press(LIVE_PAGE)
            screen.pump(SETTLE_SECONDS)
            written, busy = _observe(screen, WATCH_SECONDS)
        finished_run(home, 200)
        with _console(home) as screen:  # the living run has ended: nothing changes any more
            _ready(screen)
            screen.press(LIVE_PAGE)
            screen.pump(SETTLE_SECONDS)
            silent, idle = _observe(screen, QUIET_SECONDS)
    return [
        Figure("Live, bytes to the terminal", written / WATCH_SECONDS / 1000, "kB/s", 25.0),
        Figure("Live, processor", 100 * busy / WATCH_SECONDS, "% of a core", 10.0),
        Figure("nothing changes, bytes", silent, "B", 0.0),
        Figure("nothing changes, processor", 100 * idle / QUIET_SECONDS, "% of a core"),
    ]


def long_run(events: int, progress: Callable[[str], None]) -> list[Figure]:
    """Open a run of many events: seconds to its first curve, and to answer keys while the rest is read.

    A key is answered by the first byte that follows it: while curves grow, another redraw may come before its own.
    """
    with tempfile.TemporaryDirectory(prefix="lab-console-") as place:
        home = Path(place)
        finished_run(home, events)
        progress("opening it")
        with _console(home) as screen:
            _ready(screen)
            mark = len(screen.output)
            os.write(screen.master, LIVE_PAGE.encode())
            curve = screen.wait_for(*DOTS, after=mark)
            answers = [(_answer(screen, key), key) for key in KEYS]
    if curve is None:
        raise LabError("The console drew no curve within 30 seconds.", "See `lab doctor` for what is amiss here.")
    return [
        Figure(f"{events:,} events, first curve", curve, "s", 1.0),
        Figure(f"slowest answer to a key meanwhile, {max(answers)[1]!r}", 1000 * max(answers)[0], "ms", 100.0),
        Figure("median answer to a key meanwhile", 1000 * statistics.median(took for took, _ in answers), "ms"),
    ]


def _answer(screen: Screen, key: str) -> float:
    seconds = screen.press(key)
    screen.pump(0.4)
    return seconds


def _console(home: Path) -> Any:
    command: Sequence[str] = (sys.executable, "-m", "lab")
    return opened(command, {"LAB_HOME": str(home)}, *SIZE)


def _ready(screen: Screen) -> None:
    if screen.wait_for("Runs") is None:
        raise LabError("The console showed nothing within 30 seconds.", "Try `lab` itself, then `lab doctor`.")


def _observe(screen: Screen, seconds: float) -> tuple[int, float]:
    """Return the bytes written and the processor seconds used within `seconds`."""
    process = psutil.Process(screen.process.pid)
    mark, before = len(screen.output), sum(process.cpu_times()[:2])
    screen.pump(seconds)
    return len(screen.output) - mark, sum(process.cpu_times()[:2]) - before

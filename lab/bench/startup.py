"""How fast the light commands start, beside what Python and Typer take themselves. `lab bench startup` calls it."""

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

from lab.errors import LabError

REPEATS = 7
REFERENCE = "import typer"


@dataclass(frozen=True)
class Case:
    """A command to time; `target` is the most times it may take of what the reference takes."""

    name: str
    arguments: tuple[str, ...]
    target: float | None = None


CASES = (
    Case("python -c pass", ("-c", "pass")),
    Case(REFERENCE, ("-c", "import typer")),
    Case("lab --help", ("-m", "lab", "--help"), target=2.5),
    Case("lab runs list --json", ("-m", "lab", "runs", "list", "--json")),
    Case("import textual.app", ("-c", "import textual.app")),
    Case("import lab.console.app", ("-c", "import lab.console.app")),
)


@dataclass(frozen=True)
class Timing:
    """What a case took, in seconds; `ratio` is the median of what it took against the reference of the same round."""

    name: str
    median: float
    low: float
    high: float
    ratio: float
    target: float | None
    met: bool | None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def measure(
    cases: Sequence[Case] = CASES, repeats: int = REPEATS, progress: Callable[[str], None] = print
) -> list[Timing]:
    """Time every case once a round, so that what else runs here falls on all alike; the first round warms up.

    Raises:
        LabError: a command fails.
    """
    with tempfile.TemporaryDirectory(prefix="lab-startup-") as home:
        rounds = []
        for number in range(repeats + 1):
            rounds.append([run_once(case, home) for case in cases])
            progress(f"round {number} of {repeats}" if number else "warmed up")
    return summarise(cases, rounds[1:])


def run_once(case: Case, home: str) -> float:
    """Return the seconds that a fresh interpreter takes for the case, with an empty $LAB_HOME."""
    command = [sys.executable, "-P", *case.arguments]
    begin = time.perf_counter()
    done = subprocess.run(
        command, env={**os.environ, "LAB_HOME": home}, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    seconds = time.perf_counter() - begin
    if done.returncode != 0:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = words[-1] if words else "no message"
        raise LabError(f"`{case.name}` ended with status {done.returncode} ({reason}).", "See `lab doctor`.")
    return seconds


def summarise(cases: Sequence[Case], rounds: Sequence[Sequence[float]]) -> list[Timing]:
    """Return the figures of each case.

    Args:
        rounds: seconds of each case in each round, in the order of `cases`.
    """
    reference = next(index for index, case in enumerate(cases) if case.name == REFERENCE)
    timings = []
    for index, case in enumerate(cases):
        seconds = [times[index] for times in rounds]
        ratio = statistics.median(times[index] / times[reference] for times in rounds)
        met = None if case.target is None else ratio <= case.target
        low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
        timings.append(Timing(case.name, middle, low, high, ratio, case.target, met))
    return timings


def interpreter() -> str:
    """Name the interpreter that is timed: its version, and where it is."""
    return f"Python {sys.version.split()[0]} ({Path(sys.executable)})"

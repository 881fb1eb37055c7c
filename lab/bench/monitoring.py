"""What watching a run costs its steps: `lab bench monitoring`.

One training goes through segments of steps, watched and bare in turn, so that both see the same machine. Watched means
all that a worker does beside training (an event a step, the state once a second, telemetry, the poll of the wish to
stop) and readers that follow the run folder as consoles do; bare is the trainer alone, the readers held.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from lab import atomic
from lab.bench.workload import WORKLOADS, bench_profile, pick, row_lengths, save_random
from lab.modeling.cpu import limit_cpu
from lab.runs.paths import RunPaths
from lab.runs.reader import Tail, read_json

MODULE = "lab.bench.monitoring"
TARGET = 0.01
LOOK_SECONDS = 0.5
"""A reader looks as often as the console does."""
HOLD = "hold"
"""File that lets readers rest."""


@dataclass(frozen=True)
class Found:
    """Seconds a step in each segment, watched and bare ones in the order they ran in; the first of each warmed up."""

    device: str
    watched: list[float]
    bare: list[float]

    @property
    def share(self) -> float:
        """How much longer a watched step takes, as a share of a bare one: the median over neighbouring segments."""
        return median(a / b - 1 for a, b in zip(self.watched, self.bare, strict=True))

    @property
    def met(self) -> bool:
        return self.share <= TARGET

    def as_json(self) -> dict[str, Any]:
        return {
            "device": self.device,
            "watched": self.watched,
            "bare": self.bare,
            "share": self.share,
            "target": TARGET,
            "met": self.met,
        }


def measure(
    shape: str, method: str, workload: str, segments: int, steps: int, readers: int, progress: Callable[[str], None]
) -> Found:
    """Train in `segments` pairs of `steps` steps each and return what they took.

    Raises:
        UsageError: no such shape or workload.
    """
    limit_cpu()
    import torch

    from lab.bench.trial import build_trainer
    from lab.bench.watching import Switch
    from lab.training.session import quiet_libraries

    quiet_libraries()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    size = pick("workload", workload, WORKLOADS)
    with tempfile.TemporaryDirectory(prefix="lab-monitoring-") as parent:
        folder = save_random(shape, Path(parent) / shape, device)
        total = size.warm + 2 * (segments + 1) * steps
        sets = [f"train.max_steps={total}", *(["launch.gpus=0"] if device == "cpu" else [])]
        profile = bench_profile(folder, method, size, sets)
        run = RunPaths(Path(parent) / "run")
        run.folder.mkdir()
        atomic.write_json(run.state, {"schema": 1, "attempt": 1})
        with following(run, readers):
            switch = Switch(run, device, size.warm, steps, progress)
            trainer = build_trainer(profile, row_lengths(size), device, {}, str(Path(parent) / "out"), [switch])
            switch.watcher.trainer = trainer
            trainer.train()
            switch.rest()
    return Found(str(trainer.recipe.device.why), switch.taken[True][1:], switch.taken[False][1:])


@contextlib.contextmanager
def following(run: RunPaths, readers: int) -> Iterator[list[int]]:
    """Let processes follow the run folder meanwhile; yields their ids."""
    command = [sys.executable, "-m", MODULE, "--read", str(run.folder)]
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for _ in range(readers):
            processes.append(subprocess.Popen(command))
        yield [process.pid for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def read_on(folder: Path) -> None:
    """Follow a run folder as a console does: what is new of events and telemetry, and the state.

    Ends with the process that started it; rests while `HOLD` lies in the folder.
    """
    run, parent = RunPaths(folder), os.getppid()
    tails = [Tail(run.events), Tail(run.telemetry)]
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
        if (folder / HOLD).exists():
            continue
        for tail in tails:
            while tail.read():
                pass
        read_json(run.state)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=MODULE, description=__doc__)
    parser.add_argument("--read", metavar="FOLDER", type=Path, required=True, help="follow this run folder")
    read_on(parser.parse_args(arguments).read)
    return 0


if __name__ == "__main__":
    sys.exit(main())

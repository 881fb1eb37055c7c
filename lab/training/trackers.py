"""Copies of the curves for TensorBoard, Weights & Biases and trackio, where `train.report_to` names them.

Thin on purpose: losses and what belongs to them, under the step they belong to. The run folder stays the record; no
tracker is imported, and nothing is sent, unless the profile asks. Called by `training.fit`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

from lab.profile.schema import Profile
from lab.runs.paths import RunPaths
from lab.text import sanitize

PROJECT = "lora-lab"


@dataclass(frozen=True)
class Tracker:
    """One open tracker: `log` takes values by name and the step, `close` writes what is left."""

    log: Callable[[Mapping[str, float], int], None]
    close: Callable[[], None]


def tensorboard(run: RunPaths, profile: Profile, from_step: int) -> Tracker:
    """Write event files into the run folder; steps that a resume replays supersede the earlier ones."""
    from torch.utils.tensorboard import SummaryWriter

    folder = run.trackers / "tensorboard"
    writer = SummaryWriter(str(folder), purge_step=from_step + 1 if from_step else None)

    def log(values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            writer.add_scalar(name, value, step)
        writer.flush()

    return Tracker(log, writer.close)


def wandb(run: RunPaths, profile: Profile, from_step: int) -> Tracker:
    """Write a run that `wandb sync` sends; WANDB_MODE=online sends it as it happens."""
    library: Any = import_module("wandb")
    run.trackers.mkdir(exist_ok=True)
    # Its own copies of the console, the code and the machine are left out: only the curves were asked for.
    settings = library.Settings(console="off", disable_git=True, disable_code=True, x_disable_stats=True, silent=True)
    mode = os.environ.get("WANDB_MODE") or "offline"
    session: Any = library.init(
        project=os.environ.get("WANDB_PROJECT") or PROJECT,
        id=run.id,
        name=run.id,
        dir=str(run.trackers),
        mode=mode,
        resume=None if mode == "offline" else "allow",
        config=profile.model_dump(),
        settings=settings,
    )
    return Tracker(lambda values, step: session.log(dict(values), step=step), session.finish)


def trackio(run: RunPaths, profile: Profile, from_step: int) -> Tracker:
    """Write to trackio's own data base on this machine, which `trackio show` reads."""
    library: Any = import_module("trackio")
    library.init(project=PROJECT, name=run.id, config=profile.model_dump(), resume="allow", embed=False)
    return Tracker(lambda values, step: library.log(dict(values), step=step), library.finish)


TRACKERS: dict[str, Callable[[RunPaths, Profile, int], Tracker]] = {
    "tensorboard": tensorboard,
    "wandb": wandb,
    "trackio": trackio,
}


class Copies:
    """The open trackers of a run. One that fails is told of once and left alone: training goes on without it.

    Args:
        from_step: where this attempt goes on.
        alert: takes a line for people.
    """

    def __init__(self, run: RunPaths, profile: Profile, from_step: int, alert: Callable[[str], None]) -> None:
        self._alert = alert
        self._open: dict[str, Tracker] = {}
        for name in dict.fromkeys(profile.train.report_to):
            self._guarded(name, partial(self._start, name, run, profile, from_step))

    def _start(self, name: str, run: RunPaths, profile: Profile, from_step: int) -> None:
        self._open[name] = TRACKERS[name](run, profile, from_step)

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Copy `values` ("train/loss" ...) of `step` to every tracker."""
        for name, tracker in list(self._open.items()):
            self._guarded(name, partial(tracker.log, values, step))

    def close(self) -> None:
        for name, tracker in list(self._open.items()):
            self._guarded(name, tracker.close)
        self._open.clear()

    def _guarded(self, name: str, act: Callable[[], object]) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001  whatever a tracker raises, the run is worth more than its copy
            self._open.pop(name, None)
            why = sanitize(str(error).strip().partition("\n")[0], newlines=False, limit=200)
            self._alert(f"{name} gets no more curves ({type(error).__name__}: {why})")

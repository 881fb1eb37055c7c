"""Turns the watching of a training on and off, and takes the time of its steps. Called by `lab.bench.monitoring`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from lab.bench.monitoring import HOLD, LOOK_SECONDS
from lab.profile.load import resolve
from lab.runs.paths import RunPaths
from lab.runs.writer import RunWriter
from lab.telemetry.sampler import Sampler
from lab.training.callbacks import RunCallback
from lab.training.memory import start_peak
from lab.training.stopping import StopWish
from lab.training.trackers import Copies


class Switch(TrainerCallback):
    """Watches every other segment of a training as a worker does.

    Args:
        run: the folder that is written to; its readers rest while nothing is.
        warm: steps before the first segment.
        steps: of a segment.

    Attributes:
        watcher: the worker's own callback; its `trainer` has to be set.
        taken: whether watched -> seconds a step of each segment.
    """

    def __init__(self, run: RunPaths, device: str, warm: int, steps: int, progress: Callable[[str], None]) -> None:
        profile = resolve("monitoring", {"data": {"source": [{"name": "bundled:helpdesk"}]}}, {}, ()).profile
        copies = Copies(run, profile, 0, progress)
        self.watcher = RunCallback(RunWriter(run), StopWish(run), start_peak(device)[1], copies)
        self.taken: dict[bool, list[float]] = {True: [], False: []}
        self.run, self.device = run, device
        self.warm, self.steps, self.progress = warm, steps, progress
        self.watched = False
        self.sampler: Sampler | None = None
        self.began = 0.0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.watcher.on_train_begin(args, state, control)
        self.turn(watched=True)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        if self.watched:
            self.watcher.on_log(args, state, control, logs)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if self.watched:
            self.watcher.on_step_end(args, state, control)
            control.should_save = False
        done = state.global_step - self.warm
        if done >= 0 and done % self.steps == 0:
            self.turn(watched=not self.watched, timed=done > 0)

    def turn(self, *, watched: bool, timed: bool = False) -> None:
        """End a segment and begin the next; nothing of the turn itself is timed."""
        if self.device == "cuda":
            torch.cuda.synchronize()
        if timed:
            seconds = (time.perf_counter() - self.began) / self.steps
            self.taken[self.watched].append(seconds)
            self.progress(f"{'watched' if self.watched else 'bare'}: {seconds * 1000:.3f} ms a step")
        self.rest()
        self.watched = watched
        hold = self.run.folder / HOLD
        hold.unlink(missing_ok=True) if watched else hold.touch()
        if watched:
            self.sampler = Sampler(self.run.telemetry, os.getpid(), None if self.device == "cuda" else ())
            self.sampler.start()
        time.sleep(2 * LOOK_SECONDS)  # what a turn sets off is over
        self.began = time.perf_counter()

    def rest(self) -> None:
        """Stop the telemetry."""
        if self.sampler is not None:
            self.sampler.stop()
        self.sampler = None

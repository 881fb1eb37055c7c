"""What the trainer tells the run folder (steps, validation, checkpoints) and hears from it (the wish to stop)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from lab import atomic
from lab.modeling.load import folder_bytes
from lab.runs.writer import RunWriter
from lab.text import plural
from lab.training.best import BestWeights, waited
from lab.training.guards import Guard
from lab.training.stopping import StopWish
from lab.training.trackers import Copies

if TYPE_CHECKING:
    from lab.training.trainer import LabTrainer


class RunCallback(TrainerCallback):
    """Writes the events of training and carries out the wish to stop.

    Args:
        stop: polled after every step.
        memory: bytes in use at their peak since training began, in the device's own measure.
        copies: the trackers that get the curves too.
        best: takes the weights after each validation; None where the last ones are kept.
        patience: validation losses without a new best after which training ends; 0 never.
        losses: the validation losses of earlier attempts.

    Attributes:
        stopped: somebody's wish ended it.
        early: patience ended it.
        updating: the optimiser is changing weights, so that they are those of no step.
    """

    def __init__(
        self,
        writer: RunWriter,
        stop: StopWish,
        memory: Callable[[], int | None],
        copies: Copies,
        *,
        best: BestWeights | None = None,
        patience: int = 0,
        losses: Sequence[float] = (),
    ) -> None:
        self.writer = writer
        self.stop = stop
        self.memory = memory
        self.copies = copies
        self.best = best
        self.patience = patience
        self.losses = list(losses)
        self.trainer: LabTrainer | None = None
        self.stopped = False
        self.early = False
        self.updating = False
        self._guard = Guard(self._alert)
        self._mark = time.monotonic()

    def _alert(self, text: str) -> None:
        self.writer.emit("alert", level="warning", text=text)

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.writer.update(total_steps=state.max_steps, now=True)
        self._mark = time.monotonic()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        if logs is None or "loss" not in logs:
            return
        assert self.trainer is not None
        now, step = time.monotonic(), int(logs["step"])  # a GPU may be a step ahead of what is told
        counts = self.trainer.step_counts
        self.writer.step = step
        self.writer.emit(
            "step",
            loss=float(logs["loss"]),
            lr=float(logs["learning_rate"]),
            grad_norm=float(logs["grad_norm"]),
            tokens=counts.tokens,
            supervised=counts.supervised,
            examples=counts.examples,
            seconds=now - self._mark,
            memory_bytes=self.memory(),
        )
        loss, grad_norm = float(logs["loss"]), float(logs["grad_norm"])
        curves = {"train/loss": loss, "train/grad_norm": grad_norm, "train/lr": float(logs["learning_rate"])}
        self.copies.log(curves, step)
        self._guard.check(step, loss, grad_norm, self.trainer.suspects)
        self.writer.summary(last_loss=loss)
        self.writer.update(detail=f"step {step} of {state.max_steps}")
        self._mark = time.monotonic()

    def on_pre_optimizer_step(self, *_: Any, **__: Any) -> None:
        self.updating = True

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.updating = False
        if self.stop.asked():
            self.stopped = True
            control.should_training_stop = True
            control.should_save = self.stop.save
        if state.global_step >= state.max_steps:
            control.should_save = True  # the end is a checkpoint too: more epochs can be trained on from it

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        loss = float((metrics or {})["eval_loss"])
        rows = len(self.trainer.eval_dataset) if self.trainer and self.trainer.eval_dataset is not None else 0
        self.writer.emit("eval", loss=loss, rows=rows, seconds=float((metrics or {}).get("eval_runtime", 0.0)))
        best = self.writer.state.get("summary", {}).get("best_eval_loss")
        if math.isfinite(loss):
            self.writer.summary(best_eval_loss=loss if best is None else min(best, loss))
        self.copies.log({"eval/loss": loss}, state.global_step)
        self.losses.append(loss)
        if self.best is not None and self.trainer is not None:
            self.best.offer(self.trainer.model, state.global_step, loss)
        if self.patience and waited(self.losses) >= self.patience and state.global_step < state.max_steps:
            self._end_early(control)
        self._mark = time.monotonic()

    def _end_early(self, control: TrainerControl) -> None:
        self.early = control.should_training_stop = control.should_save = True
        self._alert(
            f"Training ended early: {plural(self.patience, 'validation')} in a row brought no lower loss than "
            f"{min(self.losses):.4g}."
        )

    def on_train_end(self, *_: Any, **__: Any) -> None:
        self._guard.sum_up()

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        folder = Path(args.output_dir or ".") / f"checkpoint-{state.global_step}"
        files = {p.name: p.stat().st_size for p in sorted(folder.iterdir()) if p.is_file()}
        atomic.write_json(folder / "complete.json", {"schema": 1, "step": state.global_step, "files": files})
        self.writer.emit(
            "checkpoint",
            path=f"checkpoints/{folder.name}",
            bytes=folder_bytes(folder),
            seconds=time.monotonic() - self._mark,
        )
        self._mark = time.monotonic()

"""What the trainer tells the run folder (steps, validation, checkpoints) and hears from it (the wish to stop)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from lab import atomic
from lab.errors import TrainingError
from lab.modeling.load import folder_bytes
from lab.runs.writer import RunWriter
from lab.training.stopping import StopWish

if TYPE_CHECKING:
    from lab.training.trainer import LabTrainer


class RunCallback(TrainerCallback):
    """Writes the events of training and carries out the wish to stop.

    Args:
        stop: polled after every step.
        memory: bytes in use at their peak since training began, in the device's own measure.
    """

    def __init__(self, writer: RunWriter, stop: StopWish, memory: Callable[[], int | None]) -> None:
        self.writer = writer
        self.stop = stop
        self.memory = memory
        self.trainer: LabTrainer | None = None
        self.stopped = False
        self._mark = time.monotonic()

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
        now = time.monotonic()
        counts = self.trainer.step_counts
        self.writer.step = state.global_step
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
        self._guard(float(logs["loss"]), float(logs["grad_norm"]), state.global_step)
        self.writer.summary(last_loss=float(logs["loss"]))
        self.writer.update(detail=f"step {state.global_step} of {state.max_steps}")
        self._mark = time.monotonic()

    def _guard(self, loss: float, grad_norm: float, step: int) -> None:
        if not math.isfinite(loss):
            raise TrainingError(
                f"The loss became {loss} at step {step}.",
                "Lower train.learning_rate, or look at the rows of that step.",
            )
        if grad_norm == 0.0:
            self.writer.emit(
                "alert", level="warning", text=f"The gradient was zero at step {step}: nothing was learnt."
            )

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
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
        self.writer.summary(best_eval_loss=loss if best is None else min(best, loss))
        self._mark = time.monotonic()

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

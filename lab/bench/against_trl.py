"""How fast this machine trains a profile, beside what TRL does from a model name: `lab bench training`.

Both see the same tokens and labels, as many rows an optimiser step, the same adapter; each side is a process of its
own, and they take turns. TRL's side is `SFTTrainer(model=folder, ...)` with everything else left at its defaults, but
for bf16 autocast where this device is not faster in it, which would only slow TRL down.

`python -m lab.bench.against_trl PROFILE --side trl|lab --steps N` prints one JSON line.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab.launching.child import Emit, json_lines, serve
from lab.modeling.cpu import limit_cpu
from lab.profile.load import load_profile

if TYPE_CHECKING:
    from lab.bench.opening import Opened

MODULE = "lab.bench.against_trl"
SIDES = ("trl", "lab")
WARM_UP = 2
PATIENCE_SECONDS = 1800.0


@dataclass(frozen=True)
class Race:
    """Real tokens a second of each side, a figure a repeat."""

    trl: list[float]
    lab: list[float]

    @property
    def ratio(self) -> float:
        return statistics.median(self.lab) / statistics.median(self.trl)


def race(profile: str, sets: Sequence[str], steps: int, repeats: int, progress: Callable[[str], None]) -> Race:
    """Time both sides in turn.

    Args:
        steps: optimiser steps that are timed, beside `WARM_UP` steps that are not.

    Raises:
        LabError: what a worker would fail with.
    """
    found: dict[str, list[float]] = {side: [] for side in SIDES}
    for repeat in range(repeats):
        for side in SIDES:
            options = [*(word for one in sets for word in ("--set", one)), "--side", side, "--steps", str(steps)]
            (record,) = json_lines(MODULE, [profile, *options], timeout=PATIENCE_SECONDS)
            found[side].append(record["tokens"] / record["seconds"])
            progress(f"round {repeat + 1}: {side} {found[side][-1]:.0f} tokens/s, last loss {record['loss']:.3f}")
    return Race(**found)


def time_side(profile: str, sets: Sequence[str], side: str, steps: int) -> dict[str, Any]:
    """Return tokens, seconds and last loss of `steps` optimiser steps of one side."""
    limit_cpu()
    from lab.bench.opening import open_training
    from lab.training.session import quiet_libraries

    quiet_libraries()
    total = ["train.eval_every=0", "train.save_every=0", f"train.max_steps={steps + WARM_UP}"]
    opened = open_training(load_profile(profile, [*sets, *total]).profile)
    with tempfile.TemporaryDirectory(prefix="lab-race-") as folder:
        return (time_trl if side == "trl" else time_lab)(opened, folder)


def time_lab(opened: Opened, folder: str) -> dict[str, Any]:
    """Train by the lab's recipe."""
    from lab.training.settings import trainer_settings
    from lab.training.trainer import LabTrainer

    clock = _clock()
    rows = opened.prepared.train
    settings = trainer_settings(opened.profile, opened.recipe, folder, rows, validates=False)
    trainer = LabTrainer(opened.fresh_model(), settings, opened.recipe, opened.tokenizer, rows, [], [clock])
    trainer.data_collator = clock.counting(trainer.data_collator, lambda step: step.counts.tokens)
    trainer.train()
    return clock.record(trainer.measured.loss if trainer.measured else float("nan"))


def time_trl(opened: Opened, folder: str) -> dict[str, Any]:
    """Train by TRL's defaults, from the model's name."""
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    from lab.training.trainer import row_dataset

    profile = opened.profile
    adapter = LoraConfig(
        r=profile.method.rank, lora_alpha=profile.method.alpha, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    settings = SFTConfig(
        folder,
        per_device_train_batch_size=profile.train.examples_per_step,
        max_steps=profile.train.max_steps,
        learning_rate=profile.train.learning_rate,
        max_length=profile.data.max_length,
        logging_steps=profile.train.max_steps,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        **({} if opened.hardware.bf16 else {"bf16": False}),
    )
    clock = _clock()
    trainer = SFTTrainer(
        model=opened.source.path_or_id,
        args=settings,
        train_dataset=row_dataset(opened.prepared.train),
        processing_class=opened.tokenizer,
        peft_config=adapter,
        callbacks=[clock],
    )
    trainer.data_collator = clock.counting(trainer.data_collator, lambda batch: int(batch["attention_mask"].sum()))
    trainer.train()
    return clock.record(next(one["loss"] for one in reversed(trainer.state.log_history) if "loss" in one))


def _clock() -> Any:
    """Return a callback that times the steps after `WARM_UP` and counts their real tokens."""
    import torch
    from transformers import TrainerCallback

    def now() -> float:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter()

    class Clock(TrainerCallback):
        def __init__(self) -> None:
            self.held: list[int] = []
            self.begin = self.end = 0.0

        def counting(self, collate: Callable[[Any], Any], tokens: Callable[[Any], int]) -> Callable[[Any], Any]:
            def counted(rows: Any) -> Any:
                batch = collate(rows)
                self.held.append(tokens(batch))
                return batch

            return counted

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step == WARM_UP:
                self.begin = now()
            if state.global_step == state.max_steps:
                self.end, self.held = now(), self.held[WARM_UP : state.max_steps]

        def record(self, loss: float) -> dict[str, Any]:
            return {"tokens": sum(self.held), "seconds": self.end - self.begin, "loss": loss}

    return Clock()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=MODULE, description=__doc__)
    parser.add_argument("profile")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="sets")
    parser.add_argument("--side", choices=SIDES, required=True)
    parser.add_argument("--steps", type=int, required=True)
    options = parser.parse_args(arguments)

    def work(emit: Emit) -> None:
        emit(time_side(options.profile, options.sets, options.side, options.steps))

    return serve(work)


if __name__ == "__main__":
    sys.exit(main())

"""Running out of memory in the midst of training: what is there is saved, and the next attempt takes less of it.

Called by `training.fit`.
"""

from __future__ import annotations

from pathlib import Path

from lab import atomic
from lab.errors import TrainingError
from lab.profile.schema import Profile
from lab.runs.paths import RunPaths, complete_checkpoints
from lab.training.callbacks import RunCallback
from lab.training.memory import let_go, ran_out
from lab.training.tighter import tighter
from lab.training.trainer import LabTrainer


def train_guarded(
    run: RunPaths, trainer: LabTrainer, callback: RunCallback, profile: Profile, checkpoint: Path | None
) -> None:
    """Train to the end, from `checkpoint` where there is one.

    Raises:
        TrainingError: memory ran out; a checkpoint of the last whole step is left, and the recipe takes less.
    """
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        return
    except Exception as error:
        if not ran_out(error):
            raise
    let_go(str(trainer.recipe.device.value))  # by now the error is gone, and with it the frames that held tensors
    _save(run, trainer, callback)
    raise TrainingError(
        f"Memory ran out in step {trainer.state.global_step + 1}, with {_sizes(trainer)}.",
        f"{next_attempt(run, trainer, profile)} Or lower train.micro_batch or data.max_length in a new run.",
    )


def _save(run: RunPaths, trainer: LabTrainer, callback: RunCallback) -> None:
    """Save the last whole step if it can be told that the weights are those of it."""
    if trainer.state.global_step and not callback.updating:
        trainer.save_now()


def _sizes(trainer: LabTrainer) -> str:
    recipe = trainer.recipe
    packed = recipe.batching.value == "packed"
    size = f"{recipe.micro_tokens.value:,} tokens" if packed else f"{recipe.micro_batch.value} rows"
    return f"{size} a micro-step and checkpointing {recipe.checkpointing.value}"


def next_attempt(run: RunPaths, trainer: LabTrainer, profile: Profile) -> str:
    """Write a recipe that takes less memory for the next attempt; return what that will be."""
    lengths = [len(row.input_ids) for row in trainer.train_rows]
    largest = trainer.longest_tokens()
    found = tighter(trainer.recipe, profile.train, largest, max(lengths))
    if found is None:
        return "Nothing of the recipe can be made smaller: use method.kind = qlora, or a device with more memory."
    recipe, change = found
    atomic.write_json(run.recipe, recipe.as_json())
    checkpoints = complete_checkpoints(run)
    saved = int(checkpoints[-1].name.rpartition("-")[2]) if checkpoints else 0
    return f"`lab runs resume {run.id}` goes on from step {saved} with {change}."

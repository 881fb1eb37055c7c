"""Training one adapter, from a loaded base to the files in `adapter/`. Called by the worker."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from peft import PeftModel
from transformers import PreTrainedTokenizerBase

from lab import atomic
from lab.data.prepare import Prepared
from lab.modeling.bundled import bundled_model
from lab.modeling.load import folder_bytes
from lab.modeling.source import PREFIX
from lab.profile.schema import Profile
from lab.runs.paths import RunPaths, complete_checkpoints
from lab.runs.reader import read_json
from lab.runs.writer import RunWriter
from lab.training.callbacks import RunCallback
from lab.training.memory import reserved_bytes, start_peak
from lab.training.recipe import Recipe
from lab.training.stopping import StopWish
from lab.training.trainer import LabTrainer, trainer_settings


def fit(
    run: RunPaths,
    writer: RunWriter,
    profile: Profile,
    recipe: Recipe,
    model: PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    prepared: Prepared,
    stop: StopWish,
) -> bool:
    """Train `model` from its newest complete checkpoint, or from the start, and save the adapter.

    Returns:
        Whether training reached its end; False means that it was stopped (and saved).

    Raises:
        TrainingError: the loss is no number.
    """
    checkpoint = next(reversed(complete_checkpoints(run)), None)
    kind, memory = start_peak(recipe.device.value)
    callback = RunCallback(writer, stop, memory)
    settings = trainer_settings(profile, recipe, str(run.checkpoints), prepared)
    trainer = LabTrainer(model, settings, recipe, tokenizer, prepared.train, prepared.validation, [callback])
    callback.trainer = trainer
    _announce(writer, checkpoint)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    facts = {"memory_kind": kind, "reserved_bytes": reserved_bytes(recipe.device.value)}
    save_adapter(run, model, base_reference(profile), writer.step)
    writer.update(facts=writer.state.get("facts", {}) | facts | {"artifact_bytes": folder_bytes(run.adapter)}, now=True)
    return not callback.stopped or writer.step >= trainer.state.max_steps


def _announce(writer: RunWriter, checkpoint: Path | None) -> None:
    """Say from which step this attempt goes on; the first attempt of a run has nothing to say."""
    step = int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0
    if writer.attempt > 1:
        writer.step = step
        writer.emit("resume", from_step=step)
    writer.phase("training", f"from step {step}" if step else "first step")


def base_reference(profile: Profile) -> str:
    """Return the name under which others find the base: a bundled model's hub id, else what the profile says."""
    name = profile.model.name
    return bundled_model(name.removeprefix(PREFIX)).hub_id if name.startswith(PREFIX) else name


def trained_steps(run: RunPaths) -> int:
    """Return after how many optimiser steps the saved adapter was taken; 0 where there is none."""
    record: dict[str, Any] = read_json(run.adapter / "lab.json") or {}
    return int(record.get("step", 0))


def save_adapter(run: RunPaths, model: PeftModel, base: str, step: int) -> None:
    """Write `adapter/` whole or not at all; it names its base as `base`, not by a path of this host."""
    fresh, old = run.folder / ".adapter.new", run.folder / ".adapter.old"
    for folder in (fresh, old):
        shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(fresh)
    config = read_json(fresh / "adapter_config.json") or {}
    atomic.write_json(fresh / "adapter_config.json", {**config, "base_model_name_or_path": base})
    (fresh / "README.md").unlink(missing_ok=True)  # PEFT's card names this host's paths; the lab makes its own
    atomic.write_json(fresh / "lab.json", {"schema": 1, "run": run.id, "step": step, "base": base})
    if run.adapter.exists():
        run.adapter.rename(old)
    fresh.rename(run.adapter)
    shutil.rmtree(old, ignore_errors=True)

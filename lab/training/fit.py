"""Training one adapter, from a loaded base to the files in `adapter/`. Called by the worker."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import asdict
from typing import Any

from transformers import PreTrainedTokenizerBase

from lab import atomic
from lab.data.prepare import Prepared
from lab.modeling.artifact import save_artifact
from lab.modeling.bundled import bundled_model
from lab.modeling.load import folder_bytes
from lab.modeling.source import PREFIX
from lab.profile.schema import Profile
from lab.runs.history import read_history
from lab.runs.paths import RunPaths, complete_checkpoints
from lab.runs.reader import read_json
from lab.runs.writer import RunWriter
from lab.training.best import BestWeights
from lab.training.callbacks import RunCallback
from lab.training.memory import reserved_bytes, start_peak
from lab.training.probe import Probed, probe
from lab.training.ranks import Ranks
from lab.training.recipe import Recipe
from lab.training.settings import trainer_settings
from lab.training.shortage import next_attempt, train_guarded
from lab.training.stages import Begun
from lab.training.stopping import StopWish
from lab.training.team import Team
from lab.training.trackers import Copies
from lab.training.trainer import LabTrainer


def fit(
    run: RunPaths,
    writer: RunWriter,
    profile: Profile,
    recipe: Recipe,
    begun: Begun,
    tokenizer: PreTrainedTokenizerBase,
    prepared: Prepared,
    stop: StopWish,
    team: Team | None = None,
) -> bool:
    """Train what has begun from its newest complete checkpoint, or from the start, and save what trained.

    Args:
        team: the processes on further GPUs that train with this one.

    Returns:
        Whether training reached its end; False means that it was stopped (and saved).

    Raises:
        TrainingError: the loss is no number, or memory ran out.
    """
    checkpoint = next(reversed(complete_checkpoints(run)), None)
    start = int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0
    kind, memory = start_peak(recipe.device.value)
    best = BestWeights(run.best) if profile.train.keep == "best" else None
    with contextlib.closing(Copies(run, profile, start, lambda line: _alert(writer, line))) as copies:
        losses = [loss for step, loss in read_history(run).evals if step <= start]
        patience = profile.train.early_stopping_patience
        callback = RunCallback(writer, stop, memory, copies, best=best, patience=patience, losses=losses)

        def build(chosen: Recipe) -> LabTrainer:
            rows = prepared.train, prepared.validation
            settings = trainer_settings(profile, chosen, str(run.checkpoints), rows[0], validates=bool(rows[1]))
            return LabTrainer(begun.model, settings, chosen, tokenizer, *rows, [callback, *begun.hooks])

        writer.update(detail="trying the heaviest batches", now=True)
        probed = probe(build, recipe, profile, prepared)
        _note(run, writer, probed)
        callback.trainer = probed.trainer
        if team is not None:
            writer.update(detail="waiting for the other processes", now=True)
            team.begin(probed.trainer.recipe, lambda: next_attempt(run, probed.trainer, profile))
            probed.trainer.join(Ranks(team.meeting, 0, team.size, recipe.device.value, team.check))
            team.complete()
        start_peak(recipe.device.value)
        _announce(writer, start)
        train_guarded(run, probed.trainer, callback, profile, checkpoint)
        if team is not None:
            team.trained()
            probed.trainer.part()
            kind = f"{kind}, one of {team.size} processes"
    trainer, early = probed.trainer, callback.early
    _finish(run, writer, begun, profile, best, {"of": trainer.state.max_steps, "early": early, "memory_kind": kind})
    return not callback.stopped or writer.step >= trainer.state.max_steps


def _note(run: RunPaths, writer: RunWriter, probed: Probed) -> None:
    """Put what the probe found into the run: a resume goes on with the recipe that fits."""
    record = probed.recipe.as_json()
    record["choices"] |= {name: {"value": "off", "why": why} for name, why in probed.trainer.left.items()}
    record["choices"]["probe"] = asdict(probed.choice)
    atomic.write_json(run.recipe, record)
    if probed.changes:
        _alert(writer, f"Memory was too short, so that {', '.join(probed.changes)}. What is learnt is the same.")
    facts = {"estimated_peak_bytes": probed.estimated, "probed_peak_bytes": probed.measured}
    writer.update(facts=writer.state.get("facts", {}) | facts, now=True)


def _alert(writer: RunWriter, text: str) -> None:
    writer.emit("alert", level="warning", text=text)


def _finish(
    run: RunPaths,
    writer: RunWriter,
    begun: Begun,
    profile: Profile,
    best: BestWeights | None,
    ended: dict[str, Any],
) -> None:
    """Save what trained, the best of it where the profile keeps that, and note how training ended.

    Args:
        ended: "of" (the steps that were asked for), "early" and "memory_kind".
    """
    kept = writer.step
    if best is not None and best.step:
        best.restore(begun.model)
        kept = best.step
        told = f"The weights of step {kept} are kept: their validation loss, {best.loss:.4g}, is the lowest."
        writer.emit("alert", level="info", text=told)
    save_adapter(run, begun, base_reference(profile), kept)
    facts = {
        "memory_kind": ended["memory_kind"],
        "reserved_bytes": reserved_bytes("cuda" if ended["memory_kind"].startswith("torch allocated") else "cpu"),
        "artifact_bytes": folder_bytes(run.adapter),
        "kept_step": kept,
        "training_end": {"step": writer.step, "of": ended["of"], "early": ended["early"]},
    }
    writer.update(facts=writer.state.get("facts", {}) | facts, now=True)


def _announce(writer: RunWriter, step: int) -> None:
    """Say from which step this attempt goes on; the first attempt of a run has nothing to say."""
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


def training_done(run: RunPaths, total: int) -> bool:
    """Tell whether an earlier attempt trained to the end of `total` steps, or ended early on its way there."""
    end = ((read_json(run.state) or {}).get("facts") or {}).get("training_end") or {}
    reached = max(int(end.get("step", 0)), trained_steps(run))  # the kept weights may be of an earlier step
    return trained_steps(run) > 0 and (reached >= total or (bool(end.get("early")) and end.get("of") == total))


def save_adapter(run: RunPaths, begun: Begun, base: str, step: int) -> None:
    """Write `adapter/` whole or not at all; it names its base as `base`, not by a path of this host."""
    fresh, old = run.folder / ".adapter.new", run.folder / ".adapter.old"
    for folder in (fresh, old):
        shutil.rmtree(folder, ignore_errors=True)
    save_artifact(
        begun.model, fresh, run=run.id, step=step, base=base, earlier=begun.earlier, beginning=begun.beginning
    )
    if run.adapter.exists():
        run.adapter.rename(old)
    fresh.rename(run.adapter)
    shutil.rmtree(old, ignore_errors=True)

"""One trial before step 0: the heaviest batches forward, backward, optimiser and validation, and all of it undone.

What does not fit is found here, where it can be mended, and not at step 120: fewer tokens a micro-step, then
activations recomputed in some layers, then in all. None of that changes what is learnt. Called by `training.fit`.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy
import torch

from lab.data.prepare import Prepared
from lab.errors import TrainingError, UsageError
from lab.modeling.choice import Choice
from lab.profile.schema import Profile
from lab.series.families import shape_from_config
from lab.text import byte_size
from lab.training.memory import let_go, ran_out, room, start_peak
from lab.training.ranks import MEMORY_BYTES
from lab.training.recipe import Recipe
from lab.training.sizes import memory_of
from lab.training.tighter import tighter
from lab.training.trainer import LabTrainer

PLENTY = 0.5  # of what is free: a step that is estimated to take less is not tried on a CPU, where a trial takes long
FULL = 0.97  # of what is free: beyond it a little fragmentation is the end


@dataclass(frozen=True)
class Probed:
    """What came out.

    Attributes:
        choice: "run" or "skipped", and why, for `recipe.json`.
        estimated, measured: peak bytes, None where there is no formula or no trial.
        changes: what had to be made smaller, a line each.
    """

    trainer: LabTrainer
    recipe: Recipe
    choice: Choice
    estimated: int | None
    measured: int | None
    changes: list[str]


def probe(build: Callable[[Recipe], LabTrainer], recipe: Recipe, profile: Profile, prepared: Prepared) -> Probed:
    """Find a recipe that fits, beginning with `recipe`.

    Args:
        build: makes a trainer that follows a recipe.

    Raises:
        TrainingError: even the smallest micro-steps with all activations recomputed do not fit.
    """
    device, changes = str(recipe.device.value), list[str]()
    while True:
        trainer = build(recipe)
        let_go(device)
        estimated, free = expected_bytes(trainer, profile, recipe, prepared), room(device)
        if device == "cuda" and recipe.ranks.value > 1:
            free -= MEMORY_BYTES
        if device == "cpu" and estimated is not None and estimated < PLENTY * free:
            why = f"the estimate, {byte_size(estimated)}, is less than half of the {byte_size(free)} that is free"
            return Probed(trainer, recipe, Choice("skipped", why), estimated, None, changes)
        # A CPU's estimate is a lower bound, and there the kernel kills whoever takes too much.
        hopeless = device == "cpu" and estimated is not None and estimated > free
        fits, peak = (False, None) if hopeless else _try(trainer, device)
        if fits and (peak is None or peak < FULL * free):
            why = f"the heaviest batches peaked at {byte_size(peak)} of {byte_size(free)}"
            return Probed(trainer, recipe, Choice("run", why), estimated, peak, changes)
        largest = int(trainer.longest_batch()["input_ids"].numel())
        found = tighter(recipe, profile.train, largest, max(len(row.input_ids) for row in prepared.train))
        if found is None:
            raise TrainingError(
                f"The longest row does not fit into the {byte_size(free)} that is free, with all else at its least.",
                "Lower data.max_length or method.rank, use method.kind = qlora, or take a device with more memory.",
            )
        recipe, change = found
        changes.append(change)
        del trainer


def expected_bytes(trainer: LabTrainer, profile: Profile, recipe: Recipe, prepared: Prepared) -> int | None:
    """Return the estimated peak in the device's own measure; None for a model whose shape is not known here."""
    config: Any = trainer.model.config
    try:
        memory = memory_of(profile, recipe, prepared.train, prepared.validation, shape_from_config(config.to_dict()))
    except UsageError:
        return None
    # On a CPU the overhead is what this process takes now, and the weights are in it.
    return memory.allocated if recipe.device.value == "cuda" else memory.total - memory.weights


def _try(trainer: LabTrainer, device: str) -> tuple[bool, int | None]:
    """Return whether the trial came to its end, and the peak in bytes where it can be told."""
    fits, peak = False, None
    try:
        fits, peak = True, measure(trainer, device)
    except Exception as error:
        if not ran_out(error):
            raise
    let_go(device)  # an error is gone by now, and with it the frames that held tensors
    return fits, peak


def measure(trainer: LabTrainer, device: str) -> int | None:
    """Run a training step on the heaviest batches, then a validation batch; return the peak and leave no trace."""
    heaviest = [trainer.longest_batch(), trainer.most_supervised_batch()]
    if heaviest[0]["ids"] == heaviest[1]["ids"]:
        heaviest.pop()
    with undone(trainer), trainer.engaged():
        _, peak = start_peak(device)
        recompute(trainer)
        optimizer = ready_optimizer(trainer)
        for batch in heaviest:
            trainer.training_step(trainer.model, batch, batch["counts"].supervised)
        optimizer.step()
        optimizer.zero_grad()
        if trainer.validation_rows and trainer.args.eval_strategy != "no":
            trainer.try_validation()
        return peak()


@contextlib.contextmanager
def undone(trainer: LabTrainer) -> Iterator[None]:
    """Put trained weights, gradients, modes and random states back as they were, whatever happens inside."""
    trained = [p for p in trainer.model.parameters() if p.requires_grad]
    before = [p.detach().to("cpu", copy=True) for p in trained]
    mode, python, array = trainer.model.training, random.getstate(), numpy.random.get_state()
    cpu, gpus = torch.get_rng_state(), torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, old in zip(trained, before, strict=True):
                parameter.copy_(old)
                parameter.grad = None
        trainer.model.train(mode)
        random.setstate(python)
        numpy.random.set_state(array)
        torch.set_rng_state(cpu)
        if gpus:
            torch.cuda.set_rng_state_all(gpus)


def recompute(trainer: LabTrainer) -> None:
    """Switch activation checkpointing on as `train` will."""
    if trainer.args.activation_checkpointing:
        options = dict(trainer.args.activation_checkpointing_kwargs)
        every = options.pop("every_n_layers")
        trainer.model.activation_checkpointing_enable(options, every_n_layers=every)


def ready_optimizer(trainer: LabTrainer) -> torch.optim.Optimizer:
    """Return an optimiser of the run's kind that holds gradients and moments already, as all steps but the first do."""
    trained = [p for p in trainer.model.parameters() if p.requires_grad]
    kind, options = trainer.get_optimizer_cls_and_kwargs(trainer.args, trainer.model)
    optimizer: torch.optim.Optimizer = kind(trained, **options)
    for parameter in trained:
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    return optimizer

"""Whether a profile learns the same by its recipe as by the plain way: `python -m lab.bench.parity PROFILE`.

Trains twice from the same adapter over the same rows: padded rows, SDPA, no kernels; then as the recipe says. Prints
one JSON object with the largest differences and whether they are within bounds; exit status 1 where they are not.
Weights should be real ones: with random weights the loss stays at ln V whatever the kernels do.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lab.bench.workload import pick
from lab.errors import UsageError
from lab.launching.child import Emit, serve
from lab.modeling.choice import Choice
from lab.modeling.cpu import limit_cpu
from lab.profile.load import load_profile

if TYPE_CHECKING:
    from lab.bench.opening import Opened
    from lab.training.recipe import Recipe

LOSS, GRAD_NORM, FINAL = 2e-2, 5e-2, 1e-2
"""Bounds: of a step's loss, of its gradient norm (relative), of the last validation loss."""
DEVIANT = 0.02
"""Share of the steps whose gradient norm may be further off: where it is nearly zero, rounding is much of it."""


@dataclass(frozen=True)
class Trained:
    """One way through the steps: losses and gradient norms, and the loss over the validation rows at the end."""

    losses: list[float]
    grad_norms: list[float]
    final: float


def compare(plain: Trained, fast: Trained) -> dict[str, Any]:
    """Return the differences and whether they are within bounds."""
    losses = [abs(a - b) for a, b in zip(plain.losses, fast.losses, strict=True)]
    norms = [abs(a - b) / a for a, b in zip(plain.grad_norms, fast.grad_norms, strict=True) if a > 0]
    deviant = sum(not one <= GRAD_NORM for one in norms) / max(1, len(norms))  # so that NaN is one
    final = abs(plain.final - fast.final)
    return {
        "steps": len(losses),
        "first_loss": plain.losses[0],
        "last_loss": plain.losses[-1],
        "largest_loss_difference": max(losses),
        "largest_grad_norm_difference": max(norms, default=0.0),
        "mean_grad_norm_difference": sum(norms) / max(1, len(norms)),
        "grad_norms_off": deviant,
        "final_losses": [plain.final, fast.final],
        "within": all(one <= LOSS for one in losses) and deviant <= DEVIANT and final <= FINAL,
    }


def _check_pieces(recipe: Recipe, pieces: Sequence[str]) -> None:
    """Refuse pieces that would stand in the recipe and do nothing: these work inside of others."""
    if recipe.fused_head.value == "off" and (idle := {"cuda_graph", "short_attention"} & set(pieces)):
        raise UsageError(f"--with {min(idle)} needs fused_head, which is off here.", "Add --with fused_head.")
    if recipe.device.value != "cuda" and "short_attention" in pieces:
        raise UsageError("--with short_attention needs a GPU.", "Leave it out.")


def plain_recipe(opened: Opened) -> Recipe:
    """Return the recipe without anything that is there for speed alone."""
    from lab.modeling.fast.choose import FAST
    from lab.modeling.hardware import Hardware
    from lab.training.recipe import decide

    model = opened.profile.model.model_copy(update={"attention": "sdpa"})
    profile = opened.profile.model_copy(update={"model": model})
    device = opened.hardware
    bare = Hardware(device.kind, device.name, device.bf16, device.memory_bytes, device.threads)
    lengths = [len(row.input_ids) for row in opened.prepared.train]
    recipe = decide(profile, bare, lengths, sharable=False)
    off = Choice("off", "the plain way")
    return replace(recipe, **dict.fromkeys(FAST, off))


def train(opened: Opened, recipe: Recipe) -> Trained:
    """Train by `recipe` from the seed's adapter."""
    from transformers import TrainerCallback

    from lab.training.settings import trainer_settings
    from lab.training.trainer import LabTrainer

    measured: list[Any] = []

    class Listener(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if "loss" in (logs or {}):
                measured.append(trainer.measured)

    prepared = opened.prepared
    with tempfile.TemporaryDirectory(prefix="lab-parity-") as folder:
        settings = trainer_settings(opened.profile, recipe, folder, prepared.train, validates=bool(prepared.validation))
        model = opened.fresh_model()
        trainer = LabTrainer(
            model, settings, recipe, opened.tokenizer, prepared.train, prepared.validation, [Listener()]
        )
        trainer.train()
        final = trainer.evaluate()["eval_loss"] if prepared.validation else 0.0
    return Trained([one.loss for one in measured], [one.grad_norm for one in measured], final)


def check(profile: str, sets: Sequence[str], pieces: Sequence[str] = ()) -> dict[str, Any]:
    """Train both ways and compare.

    Args:
        pieces: of `modeling.fast.choose.FAST`, to be on even where the recipe finds another way faster.
    """
    limit_cpu()
    from lab.bench.opening import open_training
    from lab.modeling.fast.choose import FAST
    from lab.training.session import quiet_libraries

    quiet_libraries()
    for name in pieces:
        pick("piece", name, dict.fromkeys(FAST))
    opened = open_training(load_profile(profile, [*sets, "train.save_every=0", "train.eval_every=0"]).profile)
    recipe = replace(opened.recipe, **{name: Choice("on", "--with") for name in pieces})
    _check_pieces(recipe, pieces)
    plain = train(opened, plain_recipe(opened))
    gc.collect()  # trainer and model refer to each other
    fast = train(opened, recipe)
    choices = {name: one["value"] for name, one in recipe.as_json()["choices"].items()}
    return {"recipe": choices, **compare(plain, fast)}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="lab.bench.parity", description=__doc__)
    parser.add_argument("profile", help="name on the search path, or a .toml file")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="sets")
    parser.add_argument(
        "--with", action="append", default=[], metavar="PIECE", dest="pieces", help="a fast piece the recipe leaves off"
    )
    options = parser.parse_args(arguments)
    outcome: list[bool] = []

    def work(emit: Emit) -> None:
        found = check(options.profile, options.sets, options.pieces)
        outcome.append(found["within"])
        emit(found)

    return serve(work) or int(outcome != [True])


if __name__ == "__main__":
    sys.exit(main())

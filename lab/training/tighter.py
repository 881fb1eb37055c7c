"""The next recipe that takes less memory and teaches the same. Called by the probe, and where memory ran out later."""

from __future__ import annotations

from dataclasses import replace

from lab.modeling.choice import Choice
from lab.profile.schema import Train
from lab.training.recipe import Recipe

# Below so many tokens a micro-step is no faster on the device, and recomputing activations costs less.
FLOORS = {"cuda": 4096, "cpu": 512}
WHY = "more did not fit into memory"


def tighter(recipe: Recipe, train: Train, largest: int, longest: int) -> tuple[Recipe, str] | None:
    """Return a recipe that takes less, and what is different; None where nothing more can be done.

    Args:
        largest: tokens of the largest micro-batch.
        longest: tokens of the longest row: no micro-batch can be smaller.
    """
    floor = FLOORS[recipe.device.value]
    return (
        (_fewer(recipe, train, largest, longest) if largest > floor else None)
        or _recomputing(recipe)
        or _fewer(recipe, train, largest, longest)
    )


def _fewer(recipe: Recipe, train: Train, largest: int, longest: int) -> tuple[Recipe, str] | None:
    """Halve the tokens of a micro-step, or the rows of a padded one."""
    if recipe.batching.value == "packed":
        tokens = max(longest, min(recipe.micro_tokens.value, largest) // 2)
        if tokens >= min(recipe.micro_tokens.value, largest):
            return None
        change = f"micro_tokens {recipe.micro_tokens.value} -> {tokens}"
        return replace(recipe, micro_tokens=Choice(tokens, WHY)), change
    rows, step = recipe.micro_batch.value, 0 if train.tokens_per_step else train.examples_per_step
    fewer = max((n for n in range(1, rows // 2 + 1) if step % n == 0), default=0)
    if not fewer:
        return None
    return replace(recipe, micro_batch=Choice(fewer, WHY)), f"micro_batch {rows} -> {fewer}"


def _recomputing(recipe: Recipe) -> tuple[Recipe, str] | None:
    """Recompute the activations of a fourth, a half, all of the layers."""
    every = recipe.checkpoint_every
    if every == 1:
        return None
    value = "every-4" if every == 0 or every > 4 else "every-2" if every > 2 else "all"
    shared = Choice(False, "recomputing activations and shared states do not go together")
    kept = recipe if not recipe.shared_prefix.value else replace(recipe, shared_prefix=shared)
    return replace(kept, checkpointing=Choice(value, WHY)), f"checkpointing {recipe.checkpointing.value} -> {value}"

"""The next recipe that takes less memory, step by step down to the least."""

from __future__ import annotations

from typing import Any

import pytest

from lab.modeling.hardware import Hardware
from lab.profile.load import resolve
from lab.profile.schema import Profile
from lab.training.memory import ran_out
from lab.training.recipe import Recipe, decide
from lab.training.tighter import tighter
from lab.training.worker import explain

H100 = Hardware("cuda", "NVIDIA H100", True, 80_000_000_000, 8)


def profile(*sets: str) -> Profile:
    return resolve("some", {"data": {"source": [{"name": "bundled:helpdesk"}]}}, {}, sets).profile


def ladder(chosen: Profile, longest: int, *, packed: bool = False) -> list[str]:
    """Return all changes from the first recipe to the last."""
    recipe = decide(chosen, H100, [longest], sharable=True)
    if packed:
        values = recipe.as_json()
        values["choices"]["batching"]["value"] = "packed"
        values["choices"]["micro_batch"]["value"] = 0
        values["choices"]["micro_tokens"]["value"] = 16384
        recipe = Recipe.from_json(values)
    changes = []
    while True:
        rows, tokens = recipe.micro_batch.value, recipe.micro_tokens.value
        largest = min(tokens, 16 * longest) if packed else rows * longest
        found = tighter(recipe, chosen.train, largest, longest)
        if found is None:
            return changes
        recipe, change = found
        changes.append(change)


def test_rows_are_halved_to_a_floor_then_layers_recompute_then_rows_go_down_to_one() -> None:
    assert ladder(profile("train.micro_batch=16"), 1024) == [
        "micro_batch 16 -> 8",
        "micro_batch 8 -> 4",
        "checkpointing off -> every-4",
        "checkpointing every-4 -> every-2",
        "checkpointing every-2 -> all",
        "micro_batch 4 -> 2",
        "micro_batch 2 -> 1",
    ]


def test_rows_stay_a_divisor_of_the_step() -> None:
    found = ladder(profile("train.examples_per_step=12", "train.micro_batch=12"), 4096)
    assert [line for line in found if "micro" in line] == [
        "micro_batch 12 -> 6",
        "micro_batch 6 -> 3",
        "micro_batch 3 -> 1",
    ]


def test_packed_tokens_are_halved_from_what_a_step_really_holds() -> None:
    found = ladder(profile("train.checkpointing=all"), 400, packed=True)
    assert found == [
        f"micro_tokens {old} -> {new}" for old, new in ((16384, 3200), (3200, 1600), (1600, 800), (800, 400))
    ]


@pytest.mark.parametrize(("asked", "next_one"), [("every-8", "every-4"), ("every-3", "every-2"), ("every-2", "all")])
def test_what_the_profile_asks_for_is_the_beginning(asked: str, next_one: str) -> None:
    found = ladder(profile(f"train.checkpointing={asked}", "train.micro_batch=1"), 64)
    assert found[0] == f"checkpointing {asked} -> {next_one}"


class OutOfMemoryError(RuntimeError):
    """Named as torch's is."""


@pytest.mark.parametrize(
    ("error", "memory"),
    [
        (MemoryError(), True),
        (OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (RuntimeError("shapes do not match"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_lack_of_memory_is_told_from_other_errors(error: Exception, memory: bool) -> None:
    assert ran_out(error) is memory
    problem, remedy = explain(error)
    assert problem.startswith("Memory ran out") is memory
    assert ("qlora" in remedy) is memory


def test_a_recipe_knows_every_how_many_layers_recompute() -> None:
    found: dict[str, Any] = {
        value: decide(profile(f"train.checkpointing={value}"), H100, [8], sharable=False).checkpoint_every
        for value in ("off", "all", "every-3")
    }
    assert found == {"off": 0, "all": 1, "every-3": 3}

"""A resume goes on by the recipe that it began with, or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab import atomic
from lab.errors import RunStateError
from lab.modeling.hardware import Hardware
from lab.profile.schema import Launch, Profile
from lab.runs.paths import RunPaths
from lab.training.recipe import decide
from lab.training.session import kept_recipe

CPU = Hardware("cpu", "a CPU", False, 8_000_000_000, 1)


def test_a_recipe_is_kept_on_its_kind_of_device_alone(tmp_path: Path) -> None:
    run = RunPaths(tmp_path)
    assert kept_recipe(run, CPU, Profile()) is None
    recipe = decide(Profile(), CPU, [10], sharable=True)
    atomic.write_json(run.recipe, recipe.as_json())
    assert kept_recipe(run, CPU, Profile()) == recipe
    with pytest.raises(RunStateError, match="began on a CPU, and this attempt was given a GPU"):
        kept_recipe(run, replace(CPU, kind="cuda"), Profile())


def test_a_recipe_goes_on_with_as_many_processes_as_are_asked_now(tmp_path: Path) -> None:
    run, several = RunPaths(tmp_path), Profile(launch=Launch(gpus=4))
    atomic.write_json(run.recipe, decide(several, CPU, [10], sharable=True).as_json())
    kept = kept_recipe(run, CPU, Profile())
    assert kept is not None
    assert kept.ranks.value == 1

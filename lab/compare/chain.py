"""What a later stage cost with the stages before it, which a table's own columns leave out. Called by `entry`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lab.compare.trees import at
from lab.errors import NotFoundError
from lab.runs.lineage import earlier_run
from lab.runs.paths import RunPaths
from lab.runs.store import RunInfo, read_run
from lab.text import duration, plural

SUMS = {"chain_seconds": "train_seconds", "chain_energy_wh": "energy_wh"}
"""Cost of all stages, by the cost of one that it sums up."""


def stages_before(run: RunPaths, tree_of: Callable[[RunPaths], Mapping[str, Any]]) -> list[RunInfo] | None:
    """Return the runs that `run` builds on, the last stage before it first; None where one of them is not here.

    Args:
        tree_of: reads the resolved profile of a run.
    """
    found: list[RunInfo] = []
    while reference := at(tree_of(run), "model.adapter"):
        try:
            run = earlier_run(run, str(reference))
        except NotFoundError:
            return None
        info = read_run(run)
        if info is None or info.id in [one.id for one in found]:
            return None
        found.append(info)
    return found


def chain_cost(own: Mapping[str, Any], before: list[Mapping[str, Any]]) -> dict[str, float | None]:
    """Return time and energy of the stage and all before it; None where one of them was not measured."""
    sums: dict[str, float | None] = {}
    for name, key in SUMS.items():
        each = [cost.get(key) for cost in (own, *before)]
        known = [float(value) for value in each if isinstance(value, int | float)]
        sums[name] = sum(known) if len(known) == len(each) else None
    return sums


def chain_note(sums: Mapping[str, float | None] | None, stages: int) -> str:
    """Return what to say of a later stage's row beneath a table.

    Args:
        sums: what `chain_cost` returned; None where a stage before is not here.
    """
    if sums is None:
        return "builds on a run that is not here: its costs are those of its own stage alone"
    seconds, energy = sums["chain_seconds"], sums["chain_energy_wh"]
    told = [duration(seconds)] if seconds is not None else []
    told += [f"{energy:.3g} Wh"] if energy is not None else []
    whole = f"; with {plural(stages, 'stage')} before it, training took {' and '.join(told)}" if told else ""
    return f"builds on earlier training, and its costs are those of its own stage{whole}"

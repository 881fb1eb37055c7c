"""Which row is a column's best, and which row the others are compared with. Called by the table and the views."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from lab.compare.columns import Column
from lab.compare.entry import Entry
from lab.compare.fairness import cost_key, quality_key
from lab.compare.readings import base_model

ENERGY_KEYS = ("energy_wh", "energy_total_wh", "joules_per_token")
"""Costs that hold other people's share where the GPU was shared: such a row is never the best."""


def reference_of(entries: Sequence[Entry]) -> Entry | None:
    """Return the row that others are compared with: the untuned model as it is, else quantised, else the first."""
    evaluated = [entry for entry in entries if entry.metrics]
    baselines = [entry for entry in evaluated if entry.method == "baseline"]
    plain = [entry for entry in baselines if entry.spec.get("quantization") in (None, "none")]
    return next(iter([*plain, *baselines, *evaluated]), None)


def value_of(entry: Entry, column: Column) -> Any:
    """Return what stands in a cell, None where nothing does."""
    if column.quality:
        return entry.metrics.get(column.key, {}).get("value")
    return entry.cost.get(column.key)


def best_of(
    entries: Sequence[Entry], column: Column, reference: Entry | None, axes: Sequence[str] = ()
) -> frozenset[str]:
    """Return the ids of the best rows of one column: none where fewer than two may be compared, or where all tie.

    Rows are comparable that share the reference's conditions; where it has no value, those of the largest group.
    """
    groups: dict[str, dict[str, float]] = {}
    home = ""
    for entry in entries if column.better else ():
        value = _candidate(entry, column)
        if value is not None:
            group = _quality_group(entry, column.key, axes) if column.quality else cost_key(entry)
            groups.setdefault(group, {})[entry.id] = value
            home = group if entry is reference else home
    values = groups.get(home) or max(groups.values(), key=len, default={})
    if len(set(values.values())) < 2:
        return frozenset()
    best = max(values.values()) if column.better == "higher" else min(values.values())
    return frozenset(run for run, value in values.items() if value == best)


def _quality_group(entry: Entry, metric: str, axes: Sequence[str]) -> str:
    model = base_model(entry) if metric == "perplexity" else ""  # across tokenizers it says nothing
    return f"{quality_key(entry, axes)} {entry.metrics[metric]['signature']} {model}"


def _candidate(entry: Entry, column: Column) -> float | None:
    value = value_of(entry, column)
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return None
    unfinished = entry.kind == "run" and entry.state != "completed"  # it would win by not having done the work
    with_others = column.key in ENERGY_KEYS and entry.cost.get("energy_shared")
    return None if not column.quality and (unfinished or with_others) else float(value)

"""Rows that differ in nothing but the seed of training: their mean, and how far the seeds lie apart.

Called by the table. An interval over test rows says what other questions would have given; the spread between seeds
says what another training run would have given. Neither contains the other.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Sequence
from typing import Any

from lab import jsonio
from lab.compare.entry import Entry
from lab.text import plural

_SEED_IN_NAME = re.compile(r",? ?\bseed \d+$")


def seed_groups(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Return the evaluated, trained rows whose profiles agree in all but `train.seed`, two seeds or more a group.

    Of several rows with one seed the last counts: it is the same work done again.
    """
    found: dict[str, dict[int, Entry]] = {}
    for entry in entries:
        if entry.kind == "run" and entry.trained and entry.metrics and entry.tree and entry.seed is not None:
            found.setdefault(_without_seed(entry), {})[entry.seed] = entry
    return [[*by_seed.values()] for by_seed in found.values() if len(by_seed) > 1]


def with_seed_means(entries: Sequence[Entry]) -> list[Entry]:
    """Return `entries` with the mean of each group of seeds behind the group's last row."""
    places = {entry.id: place for place, entry in enumerate(entries)}
    groups = [sorted(group, key=lambda entry: places[entry.id]) for group in seed_groups(entries)]
    means = {group[-1].id: seed_mean(group) for group in groups}
    return [row for entry in entries for row in (entry, means.get(entry.id)) if row is not None]


def seed_mean(group: Sequence[Entry]) -> Entry:
    """Return the row of a group's means, kind "seeds"; `sd` is the standard deviation between seeds (n - 1).

    A metric is there where all rows have it with one signature; a cost where all have measured it.
    """
    first = group[0]
    name = _SEED_IN_NAME.sub("", first.name) or first.name
    return Entry(
        id=f"seeds-{first.id}",
        kind="seeds",
        name=f"{plural(len(group), 'seed')} of {name}",
        profile=first.profile,
        model=first.model,
        study=first.study,
        method=first.method,
        state="completed",
        metrics={metric: found for metric in first.metrics if (found := _metric(metric, group))},
        cost={key: _cost([entry.cost.get(key) for entry in group]) for key in first.cost},
        spec=first.spec,
        notes=(f"is their mean, over the training seeds {', '.join(str(entry.seed) for entry in group)}",),
    )


def _without_seed(entry: Entry) -> str:
    """Return what must be equal, as text: the profile without its seed and words, and how the answers were made."""
    train = {key: value for key, value in (entry.tree.get("train") or {}).items() if key != "seed"}
    tree = {key: value for key, value in entry.tree.items() if key not in ("description", "train")}
    spec = {key: value for key, value in entry.spec.items() if key not in ("artifact", "hash")}
    return jsonio.dumps([sorted(train.items()), sorted(tree.items()), sorted(spec.items())])


def _metric(name: str, group: Sequence[Entry]) -> dict[str, Any] | None:
    records = [entry.metrics.get(name) for entry in group]
    values = [record["value"] for record in records if record is not None and record["value"] is not None]
    signatures = {record["signature"] for record in records if record is not None}
    if len(values) < len(group) or len(signatures) > 1 or not all(map(math.isfinite, values)):
        return None
    spread = {"sd": statistics.stdev(values), "seeds": len(values)}
    return {"value": statistics.fmean(values), "low": None, "high": None, "signature": signatures.pop(), **spread}


def _cost(values: Sequence[Any]) -> Any:
    """Return the mean of numbers that all rows have, or what all rows say alike; None where there is neither."""
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) == len(values):
        return statistics.fmean(numbers)
    return values[0] if all(value == values[0] for value in values) else None

"""Draws from sets that come with splits of their own: bundled ones, and rows that name their official split.

Called by `read`. Of these the lab never moves a row to another split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lab.data.fields import Format
from lab.data.rows import SPLITS, Row
from lab.data.splits import Draw, draw, sample
from lab.profile.schema import Source

OFFICIAL = {"train": "train", "validation": "validation", "valid": "validation", "dev": "validation", "test": "test"}
"""Spellings of the splits' names in rows."""

Pools = Mapping[str, Sequence[Row]]


def official_splits(raws: Sequence[Any], form: Format, source: Source) -> list[str]:
    """Return the split that each raw row says it belongs to; nothing unless all say so, and name more than one."""
    column = source.columns.get(form.split, form.split)
    values = [raw.get(column) if isinstance(raw, Mapping) and column else None for raw in raws]
    found = [OFFICIAL.get(value.strip().lower(), "") if isinstance(value, str) else "" for value in values]
    return found if all(found) and len(set(found)) > 1 else []


def draw_bundled(pools: Pools, source: Source, seed: int) -> Draw:
    """Draw each split of a bundled set; for validation and test a count of 0 means none."""
    held = {name: sample(pools[name], n, seed) if (n := getattr(source, name)) else [] for name in SPLITS[1:]}
    return Draw(sample(pools["train"], source.train, seed), held["validation"], held["test"], [])


def draw_official(pools: Pools, source: Source, seed: int) -> Draw:
    """Draw from official splits; validation rows come from the train split where the set has no own ones."""
    tested = sample(pools["test"], source.test, seed) if source.test else []
    if pools["validation"]:
        validated = sample(pools["validation"], source.validation, seed) if source.validation else []
        trained = draw(pools["train"], source.train, 0, 0, seed)
        return Draw(trained.train, validated, tested, trained.aside)
    both = draw(pools["train"], source.train, source.validation, 0, seed)
    return Draw(both.train, both.validation, tested, both.aside)

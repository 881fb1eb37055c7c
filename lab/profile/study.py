"""A study file: the rows of one table. Axes multiply; named rows say what axes cannot couple."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from lab import jsonio
from lab.errors import NotFoundError, ProfileError
from lab.home import profile_roots
from lab.profile.load import Resolved, load_profile, read_toml
from lab.profile.schema import Section
from lab.text import did_you_mean, sanitize


class Axis(Section):
    key: str = Field(min_length=1)
    values: list[Any] = Field(min_length=1)


class Stage(Section):
    profile: str
    set: dict[str, Any] = Field(default_factory=dict)


class Row(Section):
    name: str = Field(min_length=1)
    profile: str = ""
    set: dict[str, Any] = Field(default_factory=dict)
    stages: list[Stage] = Field(default_factory=list)


class StudyTable(Section):
    description: str = ""
    profile: str = ""
    baseline: bool = False
    baseline_quantized: bool = False
    seeds: list[int] = Field(default_factory=list)
    axis: list[Axis] = Field(default_factory=list)
    row: list[Row] = Field(default_factory=list)


class StudyFile(Section):
    study: StudyTable


@dataclass(frozen=True)
class StudyRow:
    """One run of a study: its name in the table and its checked profile."""

    name: str
    resolved: Resolved


@dataclass(frozen=True)
class Study:
    """A study with its rows in table order.

    Attributes:
        axes: key paths that the study varies on purpose: never held against a comparison.
    """

    name: str
    description: str
    rows: tuple[StudyRow, ...]
    axes: tuple[str, ...]


def find_study(name: str) -> Path:
    """Return the study's file: a path if it ends in `.toml`, else `studies/<name>.toml` on the search path."""
    short = name.removeprefix("studies/")
    candidates = (
        [Path(name)] if name.endswith(".toml") else [root / "studies" / f"{short}.toml" for root in profile_roots()]
    )
    for path in candidates:
        if path.is_file():
            return path
    hint = did_you_mean(short, list_studies())
    raise NotFoundError(f"There is no study {sanitize(name)!r}.{hint}", "See `lab study list`.")


def list_studies() -> list[str]:
    """Return the names of all studies on the search path."""
    return sorted({path.stem for root in profile_roots() for path in (root / "studies").glob("*.toml")})


def load_study(name: str, sets: tuple[str, ...] = ()) -> Study:
    """Read a study and check the profile of each of its rows.

    Args:
        sets: `key=value` for every row, as from `--set`.

    Raises:
        NotFoundError: no such study, or a profile that it names.
        ProfileError: an unknown key, a row without a profile, two rows of one name, a value that is not built yet.
    """
    path = find_study(name)
    tree, _ = read_toml(path)
    try:
        table = StudyFile.model_validate(tree).study
    except ValidationError as error:
        first = error.errors()[0]
        where = sanitize(".".join(str(part) for part in first["loc"]), newlines=False, limit=80)
        raise ProfileError(
            f"{path.name}: {where}: {first['msg']}.", "See `lab study show demo` for the shape."
        ) from None
    rows = tuple(_rows(table, path, sets))
    names = [row.name for row in rows]
    for row in names:
        if names.count(row) > 1:
            raise ProfileError(f"{path.name} has two rows called {row!r}.", "Give each [[study.row]] its own name.")
    if not rows:
        raise ProfileError(f"{path.name} has no rows.", "Add [[study.axis]], [[study.row]] or baseline = true.")
    return Study(path.stem, table.description, rows, tuple(axis.key for axis in table.axis))


def _rows(table: StudyTable, path: Path, sets: tuple[str, ...]) -> list[StudyRow]:
    rows: list[StudyRow] = []
    if table.baseline:
        rows.append(_row("baseline", table.profile, {"method.kind": "baseline"}, sets, path))
    if table.baseline_quantized:
        quantized = {"method.kind": "baseline", "model.quantization": "nf4"}
        rows.append(_row("baseline nf4", table.profile, quantized, sets, path))
    for values in itertools.product(*(axis.values for axis in table.axis)) if table.axis else ():
        chosen = dict(zip((axis.key for axis in table.axis), values, strict=True))
        name = ", ".join(f"{key.rpartition('.')[2]} {value}" for key, value in chosen.items())
        rows += _seeded(name, table.profile, chosen, table.seeds, sets, path)
    for row in table.row:
        if row.stages:
            raise ProfileError(f"Row {row.name!r} of {path.name} has stages, which are not built yet.", "Remove them.")
        rows += _seeded(row.name, row.profile or table.profile, row.set, table.seeds, sets, path)
    return rows


def _seeded(
    name: str, profile: str, chosen: dict[str, Any], seeds: list[int], sets: tuple[str, ...], path: Path
) -> list[StudyRow]:
    """Return the row once for each seed; with several seeds the seed is part of the name."""
    if not seeds:
        return [_row(name, profile, chosen, sets, path)]
    several = len(seeds) > 1
    return [
        _row(f"{name}, seed {s}" if several else name, profile, {**chosen, "train.seed": s}, sets, path) for s in seeds
    ]


def _row(name: str, profile: str, chosen: dict[str, Any], sets: tuple[str, ...], path: Path) -> StudyRow:
    if not profile:
        raise ProfileError(
            f"Row {name!r} of {path.name} names no profile.", 'Set profile = "..." in [study] or the row.'
        )
    flags = [f"{key}={jsonio.dumps(value)}" for key, value in chosen.items()]
    return StudyRow(name, load_profile(profile, [*flags, *sets]))

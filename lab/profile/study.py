"""A study file: the rows of one table. Axes multiply; named rows say what axes cannot couple."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from lab import jsonio
from lab.errors import NotFoundError, ProfileError
from lab.home import profile_roots
from lab.profile.load import Resolved, list_profiles, load_profile, read_toml
from lab.profile.schema import Section
from lab.profile.small import SUFFIX
from lab.text import did_you_mean, sanitize


class Axis(Section):
    key: str = Field(min_length=1)
    values: list[Any] = Field(min_length=1)
    names: list[str] = Field(default_factory=list)
    """What the values are called in the names of rows; by default the key and the value."""

    @model_validator(mode="after")
    def _one_name_a_value(self) -> Axis:
        if self.names and len(self.names) != len(self.values):
            raise ValueError(f"{len(self.names)} names for {len(self.values)} values")
        return self

    @property
    def choices(self) -> list[tuple[str, str, Any]]:
        """(name in the table, key path, value) of each value."""
        plain = [f"{self.key.rpartition('.')[2]} {value}" for value in self.values]
        return [(name, self.key, value) for name, value in zip(self.names or plain, self.values, strict=True)]


class Stage(Section):
    profile: str = ""
    set: dict[str, Any] = Field(default_factory=dict)


class Row(Section):
    name: str = Field(min_length=1)
    profile: str = ""
    set: dict[str, Any] = Field(default_factory=dict)
    stages: list[Stage] = Field(default_factory=list)


class StudyTable(Section):
    description: str = ""
    profile: str = ""
    set: dict[str, Any] = Field(default_factory=dict)
    baseline: bool = False
    baseline_quantized: bool = False
    seeds: list[int] = Field(default_factory=list)
    axis: list[Axis] = Field(default_factory=list)
    row: list[Row] = Field(default_factory=list)


class StudyFile(Section):
    study: StudyTable


@dataclass(frozen=True)
class StudyRow:
    """One run of a study: its name in the table and its checked profile.

    Attributes:
        after: the row whose run a later stage calls "previous"; "" for every other row.
    """

    name: str
    resolved: Resolved
    after: str = ""


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
    problem, known = f"There is no study {sanitize(name)!r}.", list_studies()
    if (whole := short.removesuffix(SUFFIX)) in known:  # the name that runs of the small study carry
        raise NotFoundError(problem, f"It is a study at another scale: give `{whole} --scale small`.")
    if not name.endswith(".toml") and any(found == name for found, _ in list_profiles(parents=True)):
        raise NotFoundError(problem, f"It is a profile: `lab train {name}`.")
    raise NotFoundError(problem + did_you_mean(short, known), "See `lab study list`.")


def study_argument(label: str) -> str:
    """Return how a command names the study whose runs carry `label`: `hybrid --scale small` for `hybrid-small`.

    The file of a study off the search path is not known from its runs; `PATH/` stands for where it lies.
    """
    known, whole = list_studies(), label.removesuffix(SUFFIX)
    scale = " --scale small" if whole != label and label not in known else ""
    name = whole if scale else label
    return (name if name in known else f"PATH/{name}.toml") + scale


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
    return Study(path.stem, table.description, rows, _axes(table))


def _axes(table: StudyTable) -> tuple[str, ...]:
    """Return what the study varies on purpose: its axes, its seeds, and what a stage begins with."""
    seeds = ["train.seed"] if len(table.seeds) > 1 else []
    staged = ["model.adapter", "model.adapter_mode", "method.orthogonal_to"] if any(r.stages for r in table.row) else []
    return tuple(dict.fromkeys([*(axis.key for axis in table.axis), *seeds, *staged]))


def _rows(table: StudyTable, path: Path, sets: tuple[str, ...]) -> list[StudyRow]:
    rows: list[StudyRow] = []
    plan = _Plan(table, path, sets)
    if table.baseline:
        rows.append(plan.row("baseline", table.profile, {"method.kind": "baseline"}))
    if table.baseline_quantized:
        quantized = {"method.kind": "baseline", "model.quantization": "nf4"}
        rows.append(plan.row("baseline nf4", table.profile, quantized))
    for choices in itertools.product(*(axis.choices for axis in table.axis)) if table.axis else ():
        chosen = {key: value for _, key, value in choices}
        name = ", ".join(name for name, _, _ in choices)
        rows += [plan.row(n, table.profile, {**chosen, **seed}) for n, seed in plan.seeded(name)]
    for row in table.row:
        for name, seed in plan.seeded(row.name):
            if row.stages:
                rows += plan.stages(row, name, seed)
            else:
                rows.append(plan.row(name, row.profile or table.profile, {**row.set, **seed}))
    return rows


@dataclass(frozen=True)
class _Plan:
    """Makes the rows of one file: `[study] set` < the row's own values < `--set`."""

    table: StudyTable
    path: Path
    sets: tuple[str, ...]

    def seeded(self, name: str) -> list[tuple[str, dict[str, Any]]]:
        """Return (name, values) of a row for each seed; with several seeds the seed is part of the name."""
        several = len(self.table.seeds) > 1
        return [(f"{name}, seed {s}" if several else name, {"train.seed": s}) for s in self.table.seeds] or [(name, {})]

    def row(self, name: str, profile: str, chosen: dict[str, Any], after: str = "") -> StudyRow:
        if not profile:
            raise ProfileError(
                f"Row {name!r} of {self.path.name} names no profile.", 'Set profile = "..." in [study] or the row.'
            )
        values = {**flat(self.table.set), **flat(chosen)}
        flags = [f"{key}={_toml(value)}" for key, value in values.items()]
        return StudyRow(name, load_profile(profile, [*flags, *self.sets]), after)

    def stages(self, row: Row, name: str, seed: dict[str, Any]) -> list[StudyRow]:
        """Return a row for each stage; what the row itself sets holds for all of them."""
        rows: list[StudyRow] = []
        for number, stage in enumerate(row.stages, 1):
            chosen = {**flat(row.set), **flat(stage.set), **seed}
            after = rows[-1].name if rows else ""
            made = self.row(
                f"{name}, stage {number}", stage.profile or row.profile or self.table.profile, chosen, after
            )
            profile = made.resolved.profile
            if not after and "previous" in (profile.model.adapter, profile.method.orthogonal_to):
                raise ProfileError(
                    f'Stage 1 of row {row.name!r} of {self.path.name} says "previous", and nothing is before it.',
                    "Leave model.adapter and method.orthogonal_to of the first stage empty, or name a run.",
                )
            rows.append(made)
        return rows


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return key path -> value; dotted keys without quotes arrive from TOML as tables within tables."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        inner = isinstance(value, dict) and value
        found |= flat(value, f"{prefix}{key}.") if inner else {f"{prefix}{key}": value}
    return found


def _toml(value: Any) -> str:
    """Return a value as `--set` reads it."""
    if isinstance(value, dict):
        return "{}"
    return jsonio.dumps(value)

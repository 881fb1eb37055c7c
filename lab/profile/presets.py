"""Presets of the assistant: a system prompt, a question with fields to fill in, a cap on the answer.

TOML files under `presets/` on the profiles' search path. Called by `lab chat` and the console.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from lab.errors import NotFoundError, ProfileError, UsageError
from lab.home import profile_roots
from lab.profile.load import read_toml
from lab.profile.sampling import Sampling
from lab.profile.schema import Section
from lab.text import did_you_mean, sanitize

_FIELD = re.compile(r"\{([a-z_]+)\}")


class Blank(Section):
    """One thing to fill in."""

    name: str = Field(pattern=r"^[a-z_]+$")
    """Its name in the question, in braces."""
    ask: str = Field(min_length=1)
    """What people are asked for."""
    default: str = ""
    """Taken where nothing is said; without one it must be filled in."""
    choices: list[str] = Field(default_factory=list)
    """The only values, where there are few."""


class Preset(Section):
    """What one tool of the assistant says and asks."""

    title: str = Field(min_length=1)
    description: str = ""
    system: str = ""
    """The system prompt."""
    prompt: str = ""
    """The question with its fields in braces; empty for an open conversation."""
    sampling: Sampling = Field(default_factory=Sampling)
    field: list[Blank] = Field(default_factory=list)


def list_presets() -> list[tuple[str, Path]]:
    """Return (name, file) of every preset, sorted; the first on the search path hides those of its name behind it."""
    found: dict[str, Path] = {}
    for root in profile_roots():
        for path in sorted((root / "presets").glob("*.toml")):
            found.setdefault(path.stem, path)
    return sorted(found.items())


def load_preset(name: str) -> Preset:
    """Read the preset `name`, or the file where it ends in `.toml`.

    Raises:
        NotFoundError: there is none.
        ProfileError: a key or value is wrong, or question and fields do not fit.
    """
    known = dict(list_presets())
    path = Path(name) if name.endswith(".toml") else known.get(name)
    if path is None or not path.is_file():
        hint = did_you_mean(name, known)
        raise NotFoundError(f"There is no preset {sanitize(name, newlines=False)!r}.{hint}", "See `lab chat --list`.")
    tree, _ = read_toml(path)
    try:
        preset = Preset.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        where = sanitize(".".join(map(str, first["loc"])), newlines=False, limit=80)
        raise ProfileError(
            f"{path.name}: {where}: {first['msg']}.", "See the presets that ship with the lab."
        ) from None
    used, given = set(_FIELD.findall(preset.prompt)), {blank.name for blank in preset.field}
    if used != given:
        odd = ", ".join(sorted(used ^ given))
        raise ProfileError(f"{path.name}: prompt and [[field]] differ in {odd}.", "Name each field in both.")
    return preset


def fill(preset: Preset, values: Mapping[str, str]) -> str:
    """Return the preset's question with `values` in its fields.

    Raises:
        UsageError: a field is unknown, empty, or none of its choices.
    """
    names = [blank.name for blank in preset.field]
    for name in values:
        if name not in names:
            hint = did_you_mean(name, names)
            raise UsageError(
                f"{preset.title} has no field {sanitize(name, newlines=False)!r}.{hint}",
                f"Its fields: {', '.join(names) or 'none'}.",
            )
    filled = {blank.name: _value(blank, values) for blank in preset.field}
    return _FIELD.sub(lambda match: filled[match.group(1)], preset.prompt)


def _value(blank: Blank, values: Mapping[str, str]) -> str:
    value = values.get(blank.name, "").strip() or blank.default
    if not value:
        raise UsageError(f"{blank.name} is empty.", f"Fill it in: --field {blank.name}='...' ({blank.ask}).")
    if blank.choices and value not in blank.choices:
        shown = sanitize(value, newlines=False, limit=40)
        raise UsageError(f"{blank.name} = {shown!r} is none of its choices.", f"Choose {', '.join(blank.choices)}.")
    return value


def check_sampling(values: Mapping[str, Any], base: Sampling | None = None) -> Sampling:
    """Return `base` with `values` in it.

    Raises:
        UsageError: a value is unknown or out of range.
    """
    try:
        return Sampling.model_validate({**(base or Sampling()).model_dump(), **values})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(f"{where}: {first['msg']}.", "See `lab chat --help`.") from None

"""The profiles and studies on the search path, checked, for the Profiles page. Called by the feed's thread.

Files are read again only when one of them changes. A profile that is broken stays in the list with its fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab import jsonio
from lab.console.turns import politely
from lab.errors import LabError
from lab.home import profile_roots
from lab.profile.load import Resolved, list_profiles, load_profile
from lab.profile.origin import leaves
from lab.profile.study import list_studies, load_study
from lab.text import plural, sanitize


@dataclass(frozen=True)
class Value:
    """One value of a resolved profile and what set it."""

    key: str
    value: str
    origin: str

    @property
    def chosen(self) -> bool:
        """Whether somebody set it: it is no default."""
        return self.origin != "default"


@dataclass(frozen=True)
class ProfileRow:
    """A profile, or a study (`kind` "study"), as the list shows it.

    Attributes:
        summary: method and what is trained on, or the rows of a study.
        problem: what is wrong with it; empty for one that can be started.
        values: every value with its origin, or of a study its rows.
    """

    name: str
    kind: str
    method: str = ""
    summary: str = ""
    description: str = ""
    values: tuple[Value, ...] = ()
    problem: str = ""


class ProfileList:
    """Reads the profiles."""

    def __init__(self) -> None:
        self._stamp: tuple[tuple[Path, int], ...] | None = None
        self._rows: tuple[ProfileRow, ...] = ()

    def read(self) -> tuple[ProfileRow, ...]:
        """Return studies first, then profiles, each by name."""
        stamp = tuple(
            (path, path.stat().st_mtime_ns) for root in profile_roots() for path in sorted(root.rglob("*.toml"))
        )
        if stamp != self._stamp:
            studies = [_study(name) for name in politely(list_studies())]
            self._rows = (*studies, *(_profile(name) for name, _ in politely(list_profiles())))
            self._stamp = stamp
        return self._rows


def _profile(name: str) -> ProfileRow:
    clean = sanitize(name, newlines=False)
    try:
        resolved = load_profile(name)
    except LabError as error:
        return ProfileRow(clean, "profile", "broken", problem=sanitize(str(error), newlines=False))
    return profile_row(clean, resolved)


def profile_row(name: str, resolved: Resolved) -> ProfileRow:
    """Return the row of a checked profile."""
    profile = resolved.profile
    sources = ", ".join(source.name for source in profile.data.source)
    return ProfileRow(
        name,
        "profile",
        profile.method.kind,
        sanitize(f"{profile.model.name} on {sources}", newlines=False),
        sanitize(profile.description, newlines=False),
        values_of(resolved),
    )


def values_of(resolved: Resolved) -> tuple[Value, ...]:
    """Return every value of a profile with its origin, in the schema's order."""
    return tuple(
        Value(
            sanitize(key, newlines=False),
            sanitize(jsonio.dumps(value), newlines=False, limit=200),
            sanitize(str(resolved.origins[key]), newlines=False),
        )
        for key, value in leaves(resolved.tree)
    )


def _study(name: str) -> ProfileRow:
    clean = sanitize(name, newlines=False)
    try:
        study = load_study(name)
    except LabError as error:
        return ProfileRow(clean, "study", "broken", problem=sanitize(str(error), newlines=False))
    rows = tuple(
        Value(sanitize(row.name, newlines=False), row.resolved.profile.method.kind, sanitize(row.resolved.name))
        for row in study.rows
    )
    return ProfileRow(
        clean, "study", "study", plural(len(rows), "row"), sanitize(study.description, newlines=False), rows
    )

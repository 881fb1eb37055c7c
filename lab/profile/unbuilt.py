"""Keys of the schema whose machinery is not there yet: refused by name, never ignored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lab.errors import ProfileError
from lab.profile.schema import Profile


@dataclass(frozen=True)
class Unbuilt:
    """A value that the lab reads but cannot serve yet, and what to set instead."""

    key: str
    asked: Callable[[Profile], object]
    instead: str


def _pissa(profile: Profile) -> object:
    """Return the variant that changes the base by a decomposition, which each process would make for itself."""
    return profile.method.variant == "pissa" and profile.method.variant


UNBUILT = (Unbuilt("method.variant on several GPUs", lambda p: p.ranks > 1 and _pissa(p), '"lora"'),)


def refuse_unbuilt(profile: Profile) -> None:
    """Raise ProfileError for the first value that the lab cannot serve yet."""
    for entry in UNBUILT:
        value = entry.asked(profile)
        if value:
            raise ProfileError(f"{entry.key} = {value!r} is not built yet.", f"Set it to {entry.instead} for now.")

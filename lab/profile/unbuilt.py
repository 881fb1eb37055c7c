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


UNBUILT = (
    Unbuilt("launch.kind", lambda p: p.launch.kind == "torchrun" and p.launch.kind, '"local"'),
    Unbuilt("launch.gpus", lambda p: p.launch.gpus > 1 and p.launch.gpus, "1"),
)


def refuse_unbuilt(profile: Profile) -> None:
    """Raise ProfileError for the first value that the lab cannot serve yet."""
    for entry in UNBUILT:
        value = entry.asked(profile)
        if value:
            raise ProfileError(f"{entry.key} = {value!r} is not built yet.", f"Set it to {entry.instead} for now.")

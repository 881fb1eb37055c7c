"""The profile in a run folder: `profile.toml`, and `origin.json` with the value and the origin of every key.

`origin.json` is {"schema", "profile" (name), "folder", "values": {key path: {"value", "layer", "file", "line"}}}.
Written by `local` and `resume`; `resume` compares the two files, so that an edit by hand is seen as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import atomic
from lab.errors import NotFoundError
from lab.profile.dump import to_toml
from lab.profile.load import Resolved
from lab.profile.origin import Origin, leaves
from lab.profile.schema import Profile
from lab.runs.paths import RunPaths
from lab.runs.reader import read_json
from lab.text import sanitize

SCHEMA = 1


@dataclass(frozen=True)
class Started:
    """What a run was last started with.

    Attributes:
        values, origins: by key path (`data.source.0.name`).
        folder: where the profile's relative file names begin; None where it has none.
    """

    name: str
    values: dict[str, Any]
    origins: dict[str, Origin]
    folder: Path | None


def write_started(run: RunPaths, resolved: Resolved, folder: Path | None) -> None:
    """Write `profile.toml` and `origin.json`. Raises OutOfSpaceError."""
    values = {
        key: {"value": value, **resolved.origins.get(key, Origin("default")).as_json()}
        for key, value in leaves(resolved.tree)
    }
    atomic.write_text(run.profile, to_toml(resolved.profile))
    atomic.write_json(
        run.origin,
        {"schema": SCHEMA, "profile": resolved.name, "folder": str(folder) if folder else None, "values": values},
    )


def read_started(run: RunPaths) -> Started:
    """Return what `write_started` wrote.

    Raises:
        NotFoundError: `origin.json` is missing or damaged.
    """
    record = read_json(run.origin) or {}
    try:
        values = {str(key): entry["value"] for key, entry in record["values"].items()}
        origins = {str(key): _origin(entry) for key, entry in record["values"].items()}
        folder = record["folder"]
        return Started(_clean(record["profile"]), values, origins, Path(folder) if folder else None)
    except (KeyError, TypeError, AttributeError) as error:
        raise NotFoundError(
            f"{run.id} has no readable origin.json.", f"Start it anew: `lab train {run.profile}`."
        ) from error


def _origin(entry: dict[str, Any]) -> Origin:
    return Origin(_clean(entry["layer"]), _clean(entry["file"] or ""), int(entry["line"] or 0))


def _clean(value: Any) -> str:
    return sanitize(str(value), newlines=False)


def working_folder(profile: Profile) -> Path | None:
    """Return the working folder if `profile` names files relative to it, else None: a run folder names no place that
    nothing needs."""
    tasks = profile.evaluate.task
    sources = [*profile.data.source, *(task.source for task in tasks if task.source is not None)]
    single = [profile.model.name, profile.data.template, profile.evaluate.bertscore_model]
    names = [*single, *(source.name for source in sources), *(task.prompts for task in tasks)]
    relative = any(name and not Path(name).is_absolute() and Path(name).exists() for name in names)
    return Path.cwd() if relative else None

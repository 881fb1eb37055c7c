"""Runs that begin with what another run trained: how one names the other, and who is built on whom.

`model.adapter` and `method.orthogonal_to` hold "run:<id>", never a path, so that run folders stay relocatable: the
other run is looked for beside the one that names it, and then in `$LAB_HOME`. Called by launching, by the worker side
and by `lab runs rm`.
"""

from __future__ import annotations

from pathlib import Path

from lab.errors import NotFoundError
from lab.home import runs_root
from lab.runs.paths import RunPaths
from lab.text import sanitize

PREFIX = "run:"
PREVIOUS = "previous"
"""In a stage of a study: the run of the stage before."""


def earlier_run(run: RunPaths, reference: str) -> RunPaths:
    """Return the run that `reference` ("run:<id>" or the bare id) names, as seen from `run`.

    Raises:
        NotFoundError: it is neither beside `run` nor in `$LAB_HOME`.
    """
    name = reference.removeprefix(PREFIX)
    for root in (run.folder.absolute().parent, runs_root()):
        if Path(name).name == name != ".." and (root / name).is_dir():
            return RunPaths(root / name)
    shown = sanitize(name, newlines=False, limit=80)
    raise NotFoundError(
        f"{run.id} builds on the run {shown}, which is not here.",
        f"Put the folder of {shown} beside it, or train both again.",
    )


def built_on(run: RunPaths) -> list[str]:
    """Return the ids of the runs beside `run` that begin with what it trained; deleting it makes them useless."""
    mark = f'"{PREFIX}{run.id}"'
    found = []
    for path in sorted(run.folder.parent.glob("*/profile.toml")):
        try:
            if mark in path.read_text(encoding="utf-8", errors="replace"):
                found.append(path.parent.name)
        except OSError:  # deleted meanwhile, or not ours to read
            continue
    return found

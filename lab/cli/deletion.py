"""`lab runs rm` and `lab runs prune`: what is deleted, after which question, and never under somebody's hands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.options import Json, Query, Run, Yes
from lab.cli.output import confirm, note, print_json

if TYPE_CHECKING:
    from pathlib import Path

    from lab.runs.store import RunInfo

NAMED = 5
"""Runs that a question names one by one; of more it says only how many."""


def rm(run: Run, yes: Yes = False, json: Json = False) -> None:
    """Delete a run with its weights, events and answers."""
    from lab.runs.store import find_run, folder_bytes
    from lab.text import byte_size

    info = find_run(run)
    _warn_of_users([_idle(info)])
    confirm(f"Delete {info.id} ({info.state}, {byte_size(folder_bytes(info.run.folder))})?", yes=yes)
    freed = _delete(info)
    if json:
        print_json({"deleted": [info.id], "freed_bytes": freed})
    else:
        typer.echo(f"Deleted {info.id}, freed {byte_size(freed)}")


def prune(
    query: Query = "",
    checkpoints: Annotated[bool, typer.Option("--checkpoints", help="Checkpoints of completed runs only.")] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Free space: delete failed, stopped and lost runs, or what --query names, or checkpoints alone."""
    from lab.compare.filters import parse_query
    from lab.errors import LabError
    from lab.runs.state import ENDED, RESUMABLE
    from lab.runs.store import list_runs

    keep = parse_query(query)
    states = ("completed",) if checkpoints else ENDED if query else RESUMABLE
    chosen = [info for info in list_runs() if info.state in states and keep(info)]
    if checkpoints:
        chosen = [info for info in chosen if info.run.checkpoints.is_dir()]
    if not chosen:
        note("There is nothing to delete.")
    else:
        if not checkpoints:
            _warn_of_users(chosen)
        if not yes:  # adding up the bytes of many runs takes a while
            confirm(_question(chosen, checkpoints=checkpoints, names=json or len(chosen) <= NAMED), yes=False)
    freed: dict[str, int] = {}
    for info in chosen:
        try:
            freed[info.id] = _delete(info, checkpoints=checkpoints)
        except LabError as error:  # resumed meanwhile, or being evaluated: the others can go all the same
            note(f"Kept: {error}")
    if json:
        print_json({"deleted": list(freed), "freed_bytes": sum(freed.values())})
    elif chosen:
        from lab.text import byte_size

        typer.echo(f"Freed {byte_size(sum(freed.values()))}")


def _question(doomed: list[RunInfo], *, checkpoints: bool, names: bool) -> str:
    """Return what is asked before several runs, or their checkpoints, are deleted: how many, how large, which."""
    from collections import Counter

    from lab.runs.store import folder_bytes
    from lab.text import byte_size, plural

    size = byte_size(sum(folder_bytes(_folder(info, checkpoints=checkpoints)) for info in doomed))
    counts = Counter(info.state for info in doomed)
    states = "" if checkpoints else f" ({', '.join(f'{count} {state}' for state, count in counts.items())})"
    what = "the checkpoints of " if checkpoints else ""
    which = f": {', '.join(info.id for info in doomed)}" if names else ""
    return f"Delete {what}{plural(len(doomed), 'run')}{states}, {size}{which}?"


def _warn_of_users(doomed: list[RunInfo]) -> None:
    """Name the runs that stay and build on what is to be deleted."""
    from lab.runs.lineage import built_on

    going = {info.id for info in doomed}
    for info in doomed:
        if staying := [name for name in built_on(info.run) if name not in going]:
            note(f"{', '.join(staying)} cannot be used without {info.id}.")


def _idle(info: RunInfo) -> RunInfo:
    """Return the run as it is now; refuse where it is gone, or somebody works on it or on one of its jobs."""
    from lab.errors import NotFoundError, RunStateError
    from lab.runs.lock import is_held
    from lab.runs.state import ENDED
    from lab.runs.store import read_run

    now = read_run(info.run)
    if now is None:
        raise NotFoundError(f"{info.id} is gone.", "See `lab runs list`.")
    if now.state not in ENDED:
        raise RunStateError(f"{info.id} is {now.state}.", f"Stop it first: `lab runs stop {info.id}`.")
    if any(map(is_held, info.run.jobs.glob("*/lock"))):
        raise RunStateError(f"{info.id} is being evaluated.", "Wait until that has ended.")
    return now


def _folder(info: RunInfo, *, checkpoints: bool) -> Path:
    return info.run.checkpoints if checkpoints else info.run.folder


def _delete(info: RunInfo, *, checkpoints: bool = False) -> int:
    """Delete a run or its checkpoints unless somebody works on it by now; return the bytes that this freed."""
    import shutil

    from lab.runs.store import delete_run, folder_bytes

    now = _idle(info)
    folder = _folder(info, checkpoints=checkpoints)
    size = folder_bytes(folder)
    if checkpoints:
        shutil.rmtree(folder)
    else:
        delete_run(now)
    return size

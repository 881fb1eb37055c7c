"""What the console changes: it asks runs to stop, resumes, labels, deletes and starts them, saves and exports.

Each function does one thing, away from the screen, and returns what to say. Errors are the lab's own. Called in a
thread by `LabApp.act`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import tomlkit

from lab import atomic
from lab.compare.table import Table
from lab.compare.views import VIEWS, render
from lab.errors import LabError, NotFoundError
from lab.home import make_private
from lab.launching import stop as ladder
from lab.launching.local import start
from lab.launching.precheck import check_before_start
from lab.launching.resume import resume
from lab.launching.study import start_missing
from lab.profile.load import load_profile, parse_assignment
from lab.profile.study import load_study
from lab.runs.labels import read_labels, write_labels
from lab.runs.lineage import built_on
from lab.runs.paths import RunPaths
from lab.runs.store import RunInfo, delete_run, read_run
from lab.text import plural, sanitize

WHO = "the console"
GRACE_SECONDS = 10.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SUFFIXES = {".md": "md", ".csv": "csv", ".json": "json", ".txt": "text"}


@dataclass(frozen=True)
class Done:
    """A line for people, and the run to watch from now on, if there is one."""

    line: str
    watch: Path | None = None


def info_of(folder: Path) -> RunInfo:
    """Read a run anew. Raises NotFoundError where it is gone."""
    info = read_run(RunPaths(folder))
    if info is None:
        raise NotFoundError(f"{sanitize(folder.name, newlines=False)} is gone.", "Look at the Runs page.")
    return info


def ask_to_stop(folder: Path) -> Done:
    """Ask a run to finish its step, save and end; a job in Slurm's queue is taken out."""
    if ladder.ask(RunPaths(folder), WHO) == "cancelled":
        return Done(f"{folder.name}: taken out of Slurm's queue before it began.")
    return Done(f"{folder.name}: asked to stop. It finishes its step, saves a checkpoint and ends.")


def end_now(folder: Path) -> Done:
    """End a run by signals: SIGTERM, and SIGKILL where that does not help."""
    return Done(ladder.stop(info_of(folder), who=WHO, wait=0.0, force=True, grace=GRACE_SECONDS).line)


def go_on(folder: Path) -> Done:
    """Resume a run from its newest complete checkpoint."""
    return Done(f"{folder.name}: {resume(info_of(folder)).line}", folder)


def lost_by_deleting(folder: Path) -> list[str]:
    """Return a line that names the runs which build on this one and cannot be used without it; none where none do."""
    users = built_on(RunPaths(folder))
    return [sanitize(f"{', '.join(users)} cannot be used without it.", newlines=False)] if users else []


def delete(folder: Path) -> Done:
    """Delete a run's folder with everything in it."""
    delete_run(info_of(folder))
    return Done(f"{folder.name} is deleted.")


def label(folder: Path, *, name: str, tags: str, notes: str) -> Done:
    """Give a run its name, tags (separated by spaces or commas) and notes."""
    run = RunPaths(folder)
    words = tuple(dict.fromkeys(word for word in re.split(r"[\s,]+", tags) if word))
    write_labels(run, replace(read_labels(run), name=name.strip(), tags=words, notes=notes.strip()))
    return Done(f"{folder.name} is labelled.")


def archive(folder: Path) -> Done:
    """Take a run out of the list, or put it back."""
    run = RunPaths(folder)
    labels = read_labels(run)
    write_labels(run, replace(labels, archived=not labels.archived))
    return Done(f"{folder.name} is {'back in the list' if labels.archived else 'archived; A shows it'}.")


def start_profile(name: str, sets: Sequence[str] = ()) -> Done:
    """Start a run of profile `name` with `sets` (`key=value`)."""
    resolved = load_profile(name, sets)
    check_before_start([resolved])
    run = start(resolved)
    return Done(f"{run.id} is started. It goes on when the console is closed.", run.folder)


def start_study(name: str) -> Done:
    """Start every row of a study that is neither done nor under way; rows that were cut off are resumed."""
    study = load_study(name)
    begun = start_missing(study)
    rest = f"; {plural(done, 'row')} done already" if (done := len(study.rows) - len(begun)) else ""
    first = begun[0].run.folder if begun else None
    return Done(f"Study {study.name}: {plural(len(begun), 'run')} under way{rest}.", first)


def assignments(text: str) -> list[str]:
    """Return the `key=value` parts of a line, which stand between semicolons."""
    return [part.strip() for part in text.split(";") if part.strip()]


def check_copy(name: str, values: dict[str, str]) -> str:
    """Return what is wrong with a changed copy of profile `name`: a value, or the name it is to be saved under."""
    saved = values["save"].strip()
    try:
        load_profile(name, assignments(values["changes"]))
    except LabError as error:
        return sanitize(str(error), newlines=False)
    if saved and not _NAME.fullmatch(saved):
        return "A profile's name has letters, digits, '.', '_' and '-'."
    if saved and _place(saved).exists():
        return f"{_place(saved)} is there already."
    return ""


def save_copy(parent: str, name: str, sets: Sequence[str]) -> Done:
    """Write a profile that extends `parent` with `sets` into `./profiles`."""
    load_profile(parent, sets)
    document = tomlkit.document()
    document["extends"] = parent
    document["description"] = f"{parent} with {', '.join(sets)}" if sets else f"A copy of {parent}"
    for key, value in map(parse_assignment, sets):
        *tables, last = key.split(".")
        table: tomlkit.container.Container | tomlkit.items.Table = document
        for part in tables:
            table = table.setdefault(part, tomlkit.table())
        table[last] = value
    make_private(_place(name).parent)
    atomic.write_text(_place(name), tomlkit.dumps(document))
    return Done(f"Saved as {_place(name)}.")


def _place(name: str) -> Path:
    return Path("profiles") / f"{name}.toml"


def check_export(values: dict[str, str]) -> str:
    """Return what is wrong with the name of a file to export to."""
    path = Path(values["file"].strip()).expanduser()
    if path.suffix not in _SUFFIXES:
        return f"End the name on {', '.join(_SUFFIXES)}: that chooses the format ({', '.join(VIEWS)})."
    if path.exists():
        return f"{path} is there already."
    return "" if path.absolute().parent.is_dir() else f"There is no folder {path.absolute().parent}."


def export(table: Table, file: str) -> Done:
    """Write a comparison to `file` in the format of its suffix."""
    path = Path(file.strip()).expanduser()
    atomic.write_text(path, render(table, _SUFFIXES[path.suffix]))
    return Done(f"Written to {path.absolute()}.")

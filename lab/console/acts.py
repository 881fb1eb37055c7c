"""What the console changes: it asks runs to stop, resumes, labels, deletes and starts them.

Each function does one thing, away from the screen, and returns a line for people. Errors are the lab's own. Called in
a thread by `LabApp.act`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from lab.errors import NotFoundError
from lab.launching import stop as ladder
from lab.launching.local import start
from lab.launching.resume import resume
from lab.profile.load import Resolved
from lab.profile.study import Study, load_study
from lab.runs.labels import Labels, read_labels, write_labels
from lab.runs.paths import RunPaths
from lab.runs.state import LIVE, RESUMABLE
from lab.runs.store import RunInfo, delete_run, list_runs, read_run
from lab.text import plural, sanitize

WHO = "the console"
GRACE_SECONDS = 10.0


def info_of(folder: Path) -> RunInfo:
    """Read a run anew. Raises NotFoundError where it is gone."""
    info = read_run(RunPaths(folder))
    if info is None:
        raise NotFoundError(f"{sanitize(folder.name, newlines=False)} is gone.", "Look at the Runs page.")
    return info


def ask_to_stop(folder: Path) -> str:
    """Ask a run to finish its step, save and end."""
    run = RunPaths(folder)
    ladder.ask(run, WHO)
    return f"{folder.name}: asked to stop. It finishes its step, saves a checkpoint and ends."


def end_now(folder: Path) -> str:
    """End a run by signals: SIGTERM, and SIGKILL where that does not help."""
    return ladder.stop(info_of(folder), who=WHO, wait=0.0, force=True, grace=GRACE_SECONDS).line


def go_on(folder: Path) -> str:
    """Resume a run from its newest complete checkpoint."""
    return f"{folder.name}: {resume(info_of(folder)).line}"


def delete(folder: Path) -> str:
    """Delete a run's folder with everything in it."""
    delete_run(info_of(folder))
    return f"{folder.name} is deleted."


def label(folder: Path, *, name: str, tags: str, notes: str) -> str:
    """Give a run its name, tags (separated by spaces or commas) and notes."""
    run = RunPaths(folder)
    words = tuple(dict.fromkeys(word for word in re.split(r"[\s,]+", tags) if word))
    write_labels(run, replace(read_labels(run), name=name.strip(), tags=words, notes=notes.strip()))
    return f"{folder.name} is labelled."


def archive(folder: Path) -> str:
    """Take a run out of the list, or put it back."""
    run = RunPaths(folder)
    labels = read_labels(run)
    write_labels(run, replace(labels, archived=not labels.archived))
    return f"{folder.name} is {'back in the list' if labels.archived else 'archived'}."


def start_run(resolved: Resolved, labels: Labels | None = None) -> RunPaths:
    """Start a run of a checked profile."""
    return start(resolved, labels=labels)


def start_study(name: str) -> list[RunPaths]:
    """Start every row of a study that is neither done nor under way; those that were cut off are resumed."""
    study = load_study(name)
    runs = [info for info in list_runs() if info.labels.study == study.name]
    begun: list[RunPaths] = []
    for row in study.rows:
        own = [i for i in runs if i.labels.row == row.name and i.record.get("profile_hash") == row.resolved.hash]
        if any(info.state in (*LIVE, "completed") for info in own):
            continue
        broken = next((info for info in own if info.state in RESUMABLE), None)
        labels = Labels(study=study.name, row=row.name)
        begun.append(resume(broken).run if broken is not None else start(row.resolved, labels=labels))
    return begun


def study_line(begun: list[RunPaths], study: Study) -> str:
    """Say what `start_study` did."""
    done = len(study.rows) - len(begun)
    rest = f"; {plural(done, 'row')} done or under way already" if done else ""
    return f"Study {study.name}: {plural(len(begun), 'run')} started{rest}. They wait for the device one by one."

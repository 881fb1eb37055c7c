"""Running a study: which rows are done, which are started, resumed or tried again. Called by the commands and the
console.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence

from lab.errors import NotFoundError
from lab.launching.earlier import full_ids, rename
from lab.launching.local import start
from lab.launching.precheck import check_before_start
from lab.launching.resume import resume
from lab.profile.load import Resolved
from lab.profile.study import Study, StudyRow
from lab.runs.labels import Labels
from lab.runs.lineage import PREFIX, PREVIOUS
from lab.runs.state import LIVE, RESUMABLE
from lab.runs.store import RunInfo, list_runs, read_run
from lab.text import plural

Say = Callable[[str], None]
_ORDER = ("completed", *LIVE, *RESUMABLE)


def matching_rows(study: Study, states: Sequence[str] = _ORDER) -> dict[str, RunInfo]:
    """Return row name -> the run that does exactly this work: a completed one, else one under way, else a broken one.

    A later stage fits only if it was built on the run that stands for the stage before.

    Args:
        states: of the runs that count.
    """
    runs = [info for info in list_runs() if info.labels.study == study.name and info.state in states]
    found: dict[str, RunInfo] = {}
    for row in study.rows:
        resolved = _placed(row, found)
        own = [
            info
            for info in runs
            if resolved and info.labels.row == row.name and info.record.get("profile_hash") == resolved.hash
        ]
        if own:
            found[row.name] = min(own, key=lambda info: _rank(info.state))  # the newest among equals
    return found


def done_rows(study: Study) -> dict[str, RunInfo]:
    """Return row name -> the completed run that did exactly this work, the newest where there are several."""
    return {name: info for name, info in matching_rows(study).items() if info.state == "completed"}


def study_command(verb: str, target: str, sets: Sequence[str] = (), scale: str = "full") -> str:
    """Return `lab study VERB ...` for a study as it was asked for: by name or file, with settings and scale."""
    options = [part for text in sets for part in ("--set", text)]
    options += ["--scale", scale] if scale != "full" else []
    return shlex.join(["lab", "study", verb, target, *options])


def none_done(study: Study, command: str) -> NotFoundError:
    """Return the error that says why a study has no table yet. Called by the commands that would show one.

    Args:
        command: the line that runs exactly what was asked for.
    """
    problem = f"No row of study {study.name} is done."
    others = sum(info.labels.study == study.name and info.state == "completed" for info in list_runs())
    if not others:
        return NotFoundError(problem, f"Run it: `{command}`.")
    them = shlex.join(["lab", "runs", "list", "-q", f"study={shlex.quote(study.name)}"])
    made = f"{plural(others, 'run')} of it {'was' if others == 1 else 'were'} made with other settings"
    return NotFoundError(
        f"No row of study {study.name} is done as asked; {made}.",
        f"Repeat their --set, or give their ids (`{them}`) to `lab compare`, or run it: `{command}`.",
    )


def start_missing(study: Study, *, fresh: bool = False, say: Say = lambda line: None) -> list[RunInfo]:
    """Start each row that is neither done nor under way; resume those that were stopped, lost or failed.

    The workers stand in the queue for devices in the order of the rows; a later stage waits for the one before.

    Args:
        fresh: start every row anew that is not under way.
        say: gets a line for each row.

    Returns:
        The runs under way, in the order of the rows.

    Raises:
        LabError: what a check found; nothing is started then.
    """
    found = matching_rows(study, LIVE if fresh else _ORDER)
    check_before_start([row.resolved for row in study.rows if row.name not in found])
    under_way = []
    for row in study.rows:
        before = found.get(row.name)
        if before is not None and before.state == "completed":
            say(f"{row.name}: done already ({before.id})")
            continue
        info = _under_way(study, row, found, say)
        if info is not None:
            found[row.name] = info
            under_way.append(info)
    return under_way


def _under_way(study: Study, row: StudyRow, found: Mapping[str, RunInfo], say: Say) -> RunInfo | None:
    """Return the row's run, started or resumed if need be."""
    before = found.get(row.name)
    if before is not None:
        again = f", {resume(before, in_line=True).line}" if before.state in RESUMABLE else " is under way"
        say(f"{row.name}: {before.id}{again}")
        return read_run(before.run)
    resolved = _placed(row, found)
    assert resolved is not None, "the stage before stands before it"
    run = start(resolved, labels=Labels(study=study.name, row=row.name), in_line=True)
    say(f"{row.name}: {run.id}")
    return read_run(run)


def retry_failed(infos: Sequence[RunInfo], say: Say) -> list[RunInfo]:
    """Resume each run that failed or was lost, in their order, and say why; return those under way again."""
    again = []
    for info in infos:
        if info.state in ("failed", "lost"):
            reason = str((info.record.get("end") or {}).get("reason") or "its worker is gone").rstrip(".")
            say(f"{info.labels.row}: {info.id} {info.state}: {reason}. Trying once more.")
            resume(info, in_line=True)
            if (now := read_run(info.run)) is not None:
                again.append(now)
    return again


def _placed(row: StudyRow, found: Mapping[str, RunInfo]) -> Resolved | None:
    """Return the row's profile with whole ids of the runs that it names; None if the stage before has no run yet."""
    if row.after and row.after not in found:
        return None
    before = PREFIX + found[row.after].id if row.after else PREVIOUS
    return full_ids(rename(row.resolved, lambda value: before if value == PREVIOUS else value))


def _rank(state: str) -> int:
    return 0 if state == "completed" else 1 if state in LIVE else 2

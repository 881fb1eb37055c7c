"""The runs under `$LAB_HOME`: make one, list them, find one by any unique part of its id or name, delete one."""

from __future__ import annotations

import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import NotFoundError, OutOfSpaceError, RunStateError, UsageError
from lab.home import runs_root
from lab.runs import lock
from lab.runs.labels import Labels, read_labels
from lab.runs.paths import RunPaths
from lab.runs.state import LIVE, read_state
from lab.text import did_you_mean, plural, sanitize


@dataclass(frozen=True)
class RunInfo:
    """One run as lists show it: what `state.json` and `labels.json` hold, with the state brought up to date."""

    run: RunPaths
    state: str
    record: dict[str, Any]
    labels: Labels

    @property
    def id(self) -> str:
        return self.run.id

    @property
    def summary(self) -> dict[str, Any]:
        value = self.record.get("summary")
        return value if isinstance(value, dict) else {}

    @property
    def detail(self) -> str:
        return sanitize(str(self.record.get("detail") or ""), newlines=False)

    def text(self, key: str) -> str:
        return sanitize(str(self.record.get(key) or ""), newlines=False)

    def as_json(self) -> dict[str, Any]:
        """Return the run as `lab runs list --json` prints it."""
        keys = ("profile", "method", "model", "created", "updated", "step", "total_steps", "attempt", "device")
        return {
            "id": self.id,
            "state": self.state,
            "detail": self.detail,
            **{key: self.record.get(key) for key in keys},
            "summary": self.summary,
            "name": self.labels.name,
            "tags": list(self.labels.tags),
            "notes": self.labels.notes,
            "study": self.labels.study,
            "row": self.labels.row,
            "archived": self.labels.archived,
        }


def new_run(label: str, *, root: Path | None = None) -> RunPaths:
    """Make the folder of a new run, with an id that sorts by time and reads: `20261122-0110-smollm2-qlora-7f3a` (UTC).

    Raises:
        OutOfSpaceError: `$LAB_HOME` cannot be written.
    """
    root = root or runs_root(create=True)
    slug = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")[:40] or "run"
    stamp = time.strftime("%Y%m%d-%H%M", time.gmtime())
    while True:
        run = RunPaths(root / f"{stamp}-{slug}-{secrets.token_hex(2)}")
        try:
            run.folder.mkdir(mode=0o700)
            return run
        except FileExistsError:
            continue
        except OSError as error:
            raise OutOfSpaceError(
                f"The run folder {run.folder} cannot be made ({error.strerror}).", "Check the disk, or set LAB_HOME."
            ) from error


def read_run(run: RunPaths) -> RunInfo | None:
    """Return what is known of the run in that folder; None where the folder holds no run (yet)."""
    record = read_state(run)
    return RunInfo(run, str(record["state"]), record, read_labels(run)) if record else None


def list_runs(root: Path | None = None) -> list[RunInfo]:
    """Return every run, the newest first; folders that are no runs are passed over."""
    root = root or runs_root()
    folders = sorted((p for p in root.glob("*") if p.is_dir()), key=lambda p: p.name, reverse=True)
    found = [info for p in folders if (info := read_run(RunPaths(p))) is not None]
    return sorted(found, key=lambda info: float(info.record.get("created") or 0), reverse=True)


def find_run(text: str, root: Path | None = None) -> RunInfo:
    """Return the run that `text` names: `latest`, a folder, an id, a given name, or any unique part of an id.

    Raises:
        NotFoundError: no run fits.
        UsageError: several fit.
    """
    if "/" in text and (info := read_run(RunPaths(Path(text).absolute()))) is not None:
        return info
    runs = list_runs(root)
    if not runs:
        raise NotFoundError(f"There are no runs in {root or runs_root()}.", "Start one: `lab demo --quick`.")
    if text == "latest":
        return runs[0]
    exact = [info for info in runs if text and text in (info.id, info.labels.name)]
    fitting = exact or [info for info in runs if text and text in info.id]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        hint = did_you_mean(text, [info.id for info in runs] + [info.labels.name for info in runs if info.labels.name])
        name = sanitize(text, newlines=False)
        of_study = bool(text) and any(info.labels.study == text for info in runs)
        where = f"It is a study: `lab study show {_as_study(name)}`." if of_study else "See `lab runs list`."
        raise NotFoundError(f"No run is called {name!r}.{hint}", where)
    names = ", ".join(info.id for info in fitting[:5])
    raise UsageError(f"{text!r} fits {plural(len(fitting), 'run')}: {names}.", "Give more of the id.")


def _as_study(label: str) -> str:
    from lab.profile.study import study_argument  # pydantic takes longer than a list of runs

    return study_argument(label)


def short_ids(ids: Iterable[str]) -> dict[str, str]:
    """Return for each of all ids the shortest end of it that `find_run` takes: mostly its last four characters."""
    ids = list(ids)
    every = "\n".join(ids)
    return {one: _shortest(one, every) for one in ids}


def short_id_among(run_id: str, ids: Iterable[str]) -> str:
    """Return the shortest end of one id: what `short_ids` has for it, without looking for the others'."""
    return _shortest(run_id, "\n".join(ids))


def _shortest(run_id: str, every: str) -> str:
    return next((end for end in _ends(run_id) if every.count(end) == 1), run_id)


def _ends(run_id: str) -> list[str]:
    """Return the ends of an id that begin at a hyphen, the shortest first."""
    parts = run_id.split("-")
    return ["-".join(parts[at:]) for at in range(len(parts) - 1, 0, -1)]


def folder_bytes(folder: Path) -> int:
    """Return the bytes of all files in a folder, 0 where it is missing; what a link points at is not in it."""
    total = 0
    for path in folder.rglob("*"):
        try:
            about = path.lstat()
        except OSError:  # a worker has deleted or renamed it meanwhile
            continue
        total += about.st_size if stat.S_ISREG(about.st_mode) else 0
    return total


def delete_run(info: RunInfo) -> None:
    """Delete the run's folder with everything in it.

    Raises:
        RunStateError: it is still being worked on.
    """
    jobs = info.run.jobs.glob("*/lock")
    if info.state in LIVE or any(lock.is_held(path) for path in (info.run.lock, *jobs)):
        doing = info.state if info.state in LIVE else "worked on"
        raise RunStateError(f"{info.id} is {doing}.", f"Stop it first: `lab runs stop {info.id}`.")
    shutil.rmtree(info.run.folder)

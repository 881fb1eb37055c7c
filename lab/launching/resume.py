"""Going on with a run that was stopped, failed or was lost, or training a completed one longer.

Called by `lab runs resume`, studies and the console; `take_up` by a worker that Slurm has started again.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lab import atomic, jsonio
from lab.errors import LabError, NotFoundError, ProfileError, RunStateError
from lab.launching.earlier import place_for
from lab.launching.precheck import check_before_start
from lab.launching.recorded import Started, read_started, write_started
from lab.launching.slurm import submit
from lab.launching.spawn import WORKER, check_space, spawn
from lab.profile.load import Resolved, read_toml, resolve
from lab.profile.origin import Origin, file_origins, leaves
from lab.profile.schema import Train
from lab.runs import lock
from lab.runs.paths import RunPaths, complete_checkpoints
from lab.runs.reader import read_json
from lab.runs.state import RESUMABLE
from lab.runs.store import RunInfo
from lab.runs.submission import Submission, write_submission
from lab.text import sanitize

CHANGEABLE = ("train.epochs", "train.max_steps", "train.save_every", "train.eval_every", "launch.gpus", "launch.slurm")
_BEGINNINGS = tuple(f"{key}." for key in CHANGEABLE)
_ABSENT = "(none)"


@dataclass(frozen=True)
class Resumed:
    """A new attempt: `checkpoint` (a folder's name) is where it goes on, None where it starts over from step 0."""

    run: RunPaths
    attempt: int
    checkpoint: str | None

    @property
    def line(self) -> str:
        """One line for people."""
        if self.checkpoint is None:
            return f"attempt {self.attempt} starts over from step 0: no complete checkpoint is there"
        return f"attempt {self.attempt} goes on from step {self.checkpoint.rpartition('-')[2]}"


def check_resume(info: RunInfo, sets: Sequence[str] = ()) -> Resolved:
    """Return the profile with which the run would go on: the one in its folder, with `sets` (`key=value`) applied.

    Raises:
        RunStateError: it is still worked on, or completed and not asked to train longer.
        ProfileError: another key than save, evaluation and length differs; each is listed as `key: old -> new`.
        NotFoundError: the folder's profile is missing.
    """
    if info.state not in (*RESUMABLE, "completed"):
        raise RunStateError(
            f"{info.id} is {info.state}; only stopped, failed and lost runs are resumed.",
            f"Watch it with `lab runs watch {info.id}`, or stop it first: `lab runs stop {info.id}`.",
        )
    before = read_started(info.run)
    resolved = _reread(info.run, before, sets)
    _check_keys(info, changed_keys(before, resolved))
    if info.state == "completed":
        _check_longer(info, before, resolved)
    return resolved


def resume(
    info: RunInfo,
    sets: Sequence[str] = (),
    *,
    command: Sequence[str] = WORKER,
    environment: Mapping[str, str] | None = None,
    in_line: bool = False,
) -> Resumed:
    """Start a new attempt of the run in its own folder and return at once.

    Args:
        in_line: as in `local.start`. The files are not looked at then: a study's row whose data has gone fails in its
            own worker, and keeps no other row from its start.

    Raises:
        What `check_resume` raises, and RunStateError where somebody else was faster.
        LabError: a model or data file that the profile names is missing or unusable; nothing was changed.
        OutOfSpaceError: the disk is (nearly) full.
        LabError: the worker could not be started, or Slurm refuses the job; the run is as it was.
    """
    resolved = check_resume(info, sets)
    check_space(info.run.folder)
    before = read_started(info.run)
    folder = before.folder if before.folder and before.folder.is_dir() else None
    if not in_line:
        _check_files(resolved, folder)
    handle = lock.acquire(info.run.lock)
    try:
        record = _record_to_continue(info)
        found = complete_checkpoints(info.run)
        resumed = Resumed(info.run, int(record.get("attempt", 1)) + 1, found[-1].name if found else None)
        with _put_back_on_failure(info.run):
            os.ftruncate(handle, 0)  # the process in it is the last attempt's
            info.run.stop.unlink(missing_ok=True)
            atomic.write_json(info.run.state, _next_state(record, resumed, resolved.hash))
            write_started(info.run, resolved, before.folder)
            if resolved.profile.launch.kind == "slurm":
                submit(info.run, resolved.profile, command=command, environment=environment, folder=folder)
            else:
                place = place_for(info.run, resolved.profile) if in_line else None
                spawn(info.run, handle, command=command, environment=environment, folder=folder, place=place)
    finally:
        os.close(handle)
    return resumed


def _check_files(resolved: Resolved, folder: Path | None) -> None:
    """Refuse what the worker would fail on at once. The check's relative names begin in this process's folder, so it is
    left to the worker where that is not the one that the worker will have."""
    with contextlib.suppress(OSError):  # no process can be started: the worker's own start tells that
        if folder is None or folder == Path.cwd():
            check_before_start([resolved])


def changed_keys(before: Started, now: Resolved) -> dict[str, tuple[Any, Any]]:
    """Return key path -> (old value, new value) of all that differs from what the run was started with.

    A key that the run never had and nobody set is no change: a newer version of the lab has brought it.
    """
    values = dict(leaves(now.tree))
    new = {key for key in values if key not in before.values and now.origins[key].layer == "default"}
    return {
        key: (before.values.get(key, _ABSENT), values.get(key, _ABSENT))
        for key in sorted((before.values.keys() | values.keys()) - new)
        if before.values.get(key, _ABSENT) != values.get(key, _ABSENT)
    }


def _reread(run: RunPaths, before: Started, sets: Sequence[str]) -> Resolved:
    """Read the profile of the folder; values that nobody touched keep the origin that they had."""
    tree, text = read_toml(run.profile)
    known = file_origins(tree, text, run.profile, "file")
    now = resolve(before.name, tree, known, sets)
    edited = changed_keys(before, now)
    kept: dict[str, Origin] = {key: o for key, o in before.origins.items() if key in now.origins and key not in edited}
    return Resolved(now.name, now.profile, now.origins | kept)


def _check_keys(info: RunInfo, changes: dict[str, tuple[Any, Any]]) -> None:
    refused = {key: pair for key, pair in changes.items() if not f"{key}.".startswith(_BEGINNINGS)}
    if refused:
        shown = "; ".join(f"{key}: {_show(old)} -> {_show(new)}" for key, (old, new) in refused.items())
        raise ProfileError(
            f"{info.id} cannot go on with other values: {shown}.",
            f"Only {', '.join(CHANGEABLE)} may change; for anything else start a new run with `lab train`.",
        )


def _show(value: Any) -> str:
    return sanitize(value if value == _ABSENT else jsonio.dumps(value), newlines=False, limit=60)


def _check_longer(info: RunInfo, before: Started, resolved: Resolved) -> None:
    if resolved.profile.method.kind == "baseline":
        raise RunStateError(f"{info.id} is completed and trains nothing.", "Evaluate it anew with `lab eval`.")
    done = int(info.record.get("step") or 0)
    if not is_longer(before.values["train.epochs"], before.values["train.max_steps"], resolved.profile.train, done):
        raise RunStateError(
            f"{info.id} is completed.",
            f"To train it longer raise train.epochs or train.max_steps: `lab runs resume {info.id} --set ...`.",
        )


def is_longer(epochs: float, max_steps: int, now: Train, done: int) -> bool:
    """Tell whether `now` trains on after a run over `epochs` (or `max_steps`, above 0) that ended at step `done`."""
    if now.max_steps:
        return now.max_steps > max(max_steps, done)
    return max_steps == 0 and now.epochs > epochs


def _record_to_continue(info: RunInfo) -> dict[str, Any]:
    """Return `state.json` as it stands now that the lock is ours; it must still be the attempt that was checked."""
    record = read_json(info.run.state)
    if record is None:
        raise NotFoundError(f"{info.id} has lost its state.json.", f"Start it anew: `lab train {info.run.profile}`.")
    if record.get("attempt") != info.record.get("attempt"):
        raise RunStateError(f"{info.id} has been resumed meanwhile.", f"See `lab runs show {info.id}`.")
    return record


def take_up(run: RunPaths, job: Submission, restarts: int) -> bool:
    """Make ready what the worker of a Slurm job finds, once it holds the lock: a job that was put back after its node
    failed or was taken away begins a new attempt. Returns False where there is nothing left to do.

    A wish to stop that came meanwhile stays.

    Args:
        restarts: how often Slurm has started the job before.
    """
    record = read_json(run.state) or {}
    state = record.get("state")
    if state == "queued" and record.get("pid") is None:
        return True
    if not restarts or state == "completed":  # taken back, or ended, before Slurm got to it
        return False
    found = complete_checkpoints(run)
    resumed = Resumed(run, int(record.get("attempt", 1)) + 1, found[-1].name if found else None)
    atomic.write_json(run.state, _next_state(record, resumed, str(record.get("profile_hash"))))
    write_submission(run, replace(job, attempt=resumed.attempt))
    return True


def _next_state(record: dict[str, Any], resumed: Resumed, profile_hash: str) -> dict[str, Any]:
    return {
        **record,
        "profile_hash": profile_hash,
        "updated": time.time(),
        "state": "queued",
        "detail": resumed.line,
        "attempt": resumed.attempt,
        "pid": None,
        "start_ticks": None,
        "end": None,
        "interrupted": False,
    }


@contextlib.contextmanager
def _put_back_on_failure(run: RunPaths) -> Iterator[None]:
    """Undo what was written to the folder if the attempt does not come to be."""
    files: list[Path] = [run.state, run.profile, run.origin]
    before = {path: path.read_text(encoding="utf-8") for path in files}
    try:
        yield
    except (OSError, LabError):
        for path, text in before.items():
            atomic.write_text(path, text)
        raise

"""Later work on a finished run: a job has a folder, state and lock of its own, under the run's `jobs/`.

Called by `lab eval`; `exports` begins its jobs here too. Of a run that Slurm worked on they go to Slurm as well: where
the run's GPU was, and not this machine's; `--set launch.kind=local` keeps one here.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from lab import atomic
from lab.errors import LabError, OutOfSpaceError, ProfileError, RunStateError
from lab.home import make_private
from lab.launching.local import first_state
from lab.launching.recorded import read_started, write_started
from lab.launching.slurm import submit
from lab.launching.spawn import WORKER, check_space, spawn
from lab.launching.stop import usable_weights
from lab.profile.load import Resolved, load_profile
from lab.profile.origin import leaves
from lab.runs import lock
from lab.runs.paths import RunPaths
from lab.runs.state import LIVE
from lab.runs.store import RunInfo, new_run

MODEL_KEYS = ("model.name", "model.revision", "model.adapter", "method.")
"""Beginnings of the keys that say which weights answer: an evaluation is told from another by nothing of them."""


def check_evaluation(info: RunInfo, sets: Sequence[str] = ()) -> Resolved:
    """Return the profile under which the run `info` would be evaluated: its own, with `sets` applied.

    Raises:
        RunStateError: the run is still worked on, or trained nothing that could answer.
        ProfileError: a value that is wrong, or one that would make it another model than the run's.
    """
    if info.state in LIVE:
        raise RunStateError(f"{info.id} is {info.state}.", f"Wait for it: `lab runs watch {info.id}`.")
    if info.record.get("method") != "baseline" and usable_weights(info.run) != info.run.adapter:
        raise RunStateError(f"{info.id} has no adapter yet.", f"Finish it: `lab runs resume {info.id}`.")
    resolved = load_profile(str(info.run.profile), list(sets))
    own, asked = dict(leaves(load_profile(str(info.run.profile)).tree)), dict(leaves(resolved.tree))
    other = [key for key in asked if key.startswith(MODEL_KEYS) and asked[key] != own.get(key)]
    if other:
        raise ProfileError(
            f"{info.id} cannot be evaluated with another {other[0]}: its answers would be another model's.",
            "Start a run of that model; a baseline trains nothing: `lab train --set method.kind=baseline`.",
        )
    return resolved


def start_evaluation(info: RunInfo, sets: Sequence[str] = ()) -> RunPaths:
    """Start a worker that evaluates the run `info`; return the job's folder.

    Raises:
        What `check_evaluation` and `begin_job` raise.
    """
    return begin_job(info, "eval", check_evaluation(info, sets))


def begin_job(info: RunInfo, label: str, resolved: Resolved, request: Mapping[str, Any] | None = None) -> RunPaths:
    """Make the folder of a job under the run `info` and start its worker there; return the folder.

    Args:
        label: of the job's id.
        request: what the job is to export; None where it evaluates.

    Raises:
        NotFoundError: the run does not tell what it was started with.
        OutOfSpaceError: the run's disk is (nearly) full, or its folder cannot be written.
        LabError: the worker could not be started, or Slurm refuses it. In all cases no folder of the job is left.
    """
    check_space(info.run.folder)
    before = read_started(info.run)
    job = new_run(label, root=make_private(info.run.jobs))
    try:
        handle = lock.acquire(job.lock)
        try:
            write_started(job, resolved, before.folder)
            if request is not None:
                atomic.write_json(job.request, request)
            atomic.write_json(job.state, first_state(job, resolved))
            folder = before.folder if before.folder and before.folder.is_dir() else None
            command = [*WORKER, "--of", str(info.run.folder.absolute())]
            if resolved.profile.launch.kind == "slurm":
                submit(job, resolved.profile, command=command, folder=folder)
            else:
                spawn(job, handle, command=command, folder=folder)
        finally:
            os.close(handle)
    except (OSError, LabError) as error:
        shutil.rmtree(job.folder, ignore_errors=True)  # else it would stand there as queued, and never begin
        if isinstance(error, OSError):
            raise OutOfSpaceError(
                f"The job folder {job.folder} cannot be written ({error.strerror}).",
                "Check the disk, and the folder's owner.",
            ) from error
        raise
    return job

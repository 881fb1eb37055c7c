"""Later work on a finished run: a job has a folder, state and lock of its own, under the run's `jobs/`."""

from __future__ import annotations

import os
from collections.abc import Sequence

from lab import atomic
from lab.errors import RunStateError
from lab.home import make_private
from lab.launching.local import first_state
from lab.launching.recorded import read_started, write_started
from lab.launching.spawn import WORKER, check_space, spawn
from lab.launching.stop import usable_weights
from lab.profile.load import Resolved, load_profile
from lab.runs import lock
from lab.runs.paths import RunPaths
from lab.runs.state import LIVE
from lab.runs.store import RunInfo, new_run


def check_evaluation(info: RunInfo, sets: Sequence[str] = ()) -> Resolved:
    """Return the profile under which the run `info` would be evaluated: its own, with `sets` applied.

    Raises:
        RunStateError: the run is still worked on, or trained nothing that could answer.
        ProfileError: a value that is wrong.
    """
    if info.state in LIVE:
        raise RunStateError(f"{info.id} is {info.state}.", f"Wait for it: `lab runs watch {info.id}`.")
    if info.record.get("method") != "baseline" and usable_weights(info.run) != info.run.adapter:
        raise RunStateError(f"{info.id} has no adapter yet.", f"Finish it: `lab runs resume {info.id}`.")
    return load_profile(str(info.run.profile), list(sets))


def start_evaluation(info: RunInfo, sets: Sequence[str] = ()) -> RunPaths:
    """Start a worker that evaluates the run `info`; return the job's folder. Raises what `check_evaluation` raises."""
    resolved = check_evaluation(info, sets)
    check_space(info.run.folder)
    before = read_started(info.run)
    job = new_run("eval", root=make_private(info.run.jobs))
    handle = lock.acquire(job.lock)
    try:
        write_started(job, resolved, before.folder)
        atomic.write_json(job.state, first_state(job, resolved))
        folder = before.folder if before.folder and before.folder.is_dir() else None
        spawn(job, handle, command=[*WORKER, "--of", str(info.run.folder)], folder=folder)
    finally:
        os.close(handle)
    return job

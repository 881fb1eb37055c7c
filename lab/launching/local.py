"""Starting a run: its folder, its first state, its worker, here or in a Slurm job.

Called by `lab train` and the console.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from lab import atomic
from lab.errors import LabError, OutOfSpaceError
from lab.home import runs_root
from lab.launching.earlier import pin, place_for
from lab.launching.recorded import working_folder, write_started
from lab.launching.slurm import submit
from lab.launching.spawn import WORKER, check_space, spawn
from lab.profile.load import Resolved
from lab.profile.schema import Profile
from lab.profile.trackers import refuse_missing_trackers
from lab.runs import lock
from lab.runs.events import SCHEMA
from lab.runs.labels import Labels, write_labels
from lab.runs.paths import RunPaths
from lab.runs.store import new_run

SLUG_MODEL_LENGTH = 24
_TUNED = re.compile(r"[-_.](instruct|chat|it|base)$", re.IGNORECASE)


def start(
    resolved: Resolved,
    *,
    labels: Labels | None = None,
    command: Sequence[str] = WORKER,
    environment: Mapping[str, str] | None = None,
    in_line: bool = False,
) -> RunPaths:
    """Make a run folder for `resolved` and start its worker, which waits there for its device; return at once.

    The lock is taken before the first state is written, so that no reader ever sees the run without its worker, and
    is never let go between this process and the worker. A Slurm job takes it when it begins; until then the queue
    tells that the run is not lost.

    Args:
        command: arguments of the Python interpreter that come before the folder.
        environment: variables for the worker on top of this process's own.
        in_line: take the worker's place in the queue for devices now, so that runs begin in the order of their starts;
            Slurm has a queue of its own.

    Raises:
        NotFoundError, RunStateError: the run that the profile builds on is not there, or has not ended well.
        ProfileError: a tracker that it names is not installed.
        OutOfSpaceError: the disk is (nearly) full or the folder cannot be written.
        LabError: the worker could not be started, or Slurm refuses the job. In both cases no folder is left.
    """
    refuse_missing_trackers(resolved.profile)
    resolved = pin(resolved)
    check_space(runs_root(create=True))
    run = new_run(f"{short_model(resolved.profile)}-{resolved.profile.method.kind}")
    try:
        handle = lock.acquire(run.lock)
        try:
            write_started(run, resolved, working_folder(resolved.profile))
            write_labels(run, labels or Labels())
            atomic.write_json(run.state, first_state(run, resolved))
            if resolved.profile.launch.kind == "slurm":
                submit(run, resolved.profile, command=command, environment=environment)
            else:
                place = place_for(run, resolved.profile) if in_line else None
                spawn(run, handle, command=command, environment=environment, place=place)
        finally:
            os.close(handle)
    except (OSError, LabError) as error:
        shutil.rmtree(run.folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise OutOfSpaceError(
                f"The run folder {run.folder} cannot be written ({error.strerror}).", "Check the disk, or set LAB_HOME."
            ) from error
        raise
    return run


def first_state(run: RunPaths, resolved: Resolved) -> dict[str, Any]:
    """Return the `state.json` of a run that nobody has worked on; its process stands in the lock until it writes."""
    now = time.time()
    return {
        "schema": SCHEMA,
        "id": run.id,
        "profile": resolved.name,
        "profile_hash": resolved.hash,
        "method": resolved.profile.method.kind,
        "model": model_label(resolved.profile),
        "created": now,
        "updated": now,
        "state": "queued",
        "detail": "Slurm is asked" if resolved.profile.launch.kind == "slurm" else "the worker starts",
        "attempt": 1,
        "step": 0,
        "total_steps": None,
        "device": None,
        "pid": None,
        "start_ticks": None,
        "summary": {},
        "facts": {},
        "end": None,
    }


def model_label(profile: Profile) -> str:
    """Return the model's name without its owner, folder or scheme: `Llama-3.2-1B-Instruct`."""
    return PurePath(profile.model.name.removeprefix("bundled:")).name or profile.model.name


def short_model(profile: Profile) -> str:
    """Return the model's part of a run id: `smollm2-135m`, short enough that the method after it is never cut."""
    return _TUNED.sub("", model_label(profile))[:SLUG_MODEL_LENGTH]

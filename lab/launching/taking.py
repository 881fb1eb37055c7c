"""How a worker comes by its run: the lock that its starter handed over, or, in a Slurm job, the lock that it takes."""

from __future__ import annotations

import os

from lab.launching.resume import take_up
from lab.launching.slurmjob import own_job, restarts
from lab.runs import lock
from lab.runs.paths import RunPaths
from lab.runs.submission import Submission

LOCK_SECONDS = 120.0
"""How long the lock may still be held: by who submits the job, or, on a shared file system, by a node that died."""


def take(run: RunPaths, lock_fd: int | None) -> tuple[int, Submission | None] | None:
    """Return the run's lock, which is this process's own now, and the Slurm job that it is; None where the job has
    nothing left to do.

    Args:
        lock_fd: the open lock, inherited; None takes it here.

    Raises:
        RunStateError: somebody else works on the run, or another job was submitted for it.
    """
    handle = lock.acquire(run.lock, wait=LOCK_SECONDS) if lock_fd is None else lock_fd
    lock.adopt(handle)
    job = own_job(run) if lock_fd is None else None
    if job is not None and not take_up(run, job, restarts()):
        lock.sign_off(handle)
        os.close(handle)
        return None
    return handle, job

"""The Slurm job of a run after it was submitted: signals, taking it back, and what its own worker finds.

Called by `stop` and by workers; loads nothing of profiles, since every list of runs comes by here.
"""

from __future__ import annotations

import os
from typing import Literal

from lab.errors import RunStateError
from lab.runs import lock
from lab.runs.paths import RunPaths
from lab.runs.state import LIVE, read_state
from lab.runs.submission import Submission, read_submission
from lab.runs.writer import RunWriter
from lab.telemetry.slurmcall import call

PATIENCE_SECONDS = 60.0
Signal = Literal["TERM", "KILL"]


def signal(job: Submission, run: RunPaths, which: Signal) -> None:
    """Send a signal to the worker of a running job, at once; of what else the job has started Slurm clears up the rest.

    --batch: the worker is the batch process, which scancel spares otherwise, and a KILL without it begins with a TERM
    and waits (KillWait).

    Raises:
        LabError: scancel is missing, refuses, or gives no answer.
    """
    call([*_scancel(job, run), "--batch", f"--signal={which}", job.job], timeout=PATIENCE_SECONDS)


def take_back(run: RunPaths, who: str) -> bool:
    """Take the run's job out of Slurm's queue and write that as its end; False where no job of it waits there.

    The lock is held meanwhile: a job that begins just now waits for it, and then finds the end.

    Raises:
        RunStateError: the worker has begun just now.
        LabError: scancel is missing, refuses, or gives no answer; nothing is written then.
        OutOfSpaceError: the end cannot be written; the job is cancelled.
    """
    job = read_submission(run)
    if job is None or read_state(run).get("state") not in LIVE:
        return False
    handle = lock.acquire(run.lock)
    try:
        call([*_scancel(job, run), "--quiet", job.job], timeout=PATIENCE_SECONDS)
        writer = RunWriter(run)
        writer.step = int(writer.state.get("step") or 0)
        writer.state["interrupted"] = False
        writer.end("stopped", reason=f"stopped by {who}: {job.label} was taken out of the queue")
        writer.close()
    finally:
        os.close(handle)
    return True


def _scancel(job: Submission, run: RunPaths) -> list[str]:
    """Return the command with the run's name beside the number: a cluster that was set up anew counts from 1 again."""
    return ["scancel", f"--name={run.id}", *([f"--clusters={job.cluster}"] if job.cluster else [])]


def own_job(run: RunPaths) -> Submission | None:
    """Return the Slurm job that this process is, None where it is none of the run's.

    Raises:
        RunStateError: it is a job, but another one works on the run by now.
    """
    number = os.environ.get("SLURM_JOB_ID")
    job = read_submission(run)
    if number is None or job is None:
        return None
    if job.job != number:
        raise RunStateError(
            f"Slurm job {number} is not the one that works on {run.id}: {job.label} was submitted since.",
            f"See `lab runs show {run.id}`.",
        )
    return job


def restarts() -> int:
    """Return how often Slurm has put the job of this process back and started it again."""
    count = os.environ.get("SLURM_RESTART_COUNT", "")
    return int(count) if count.isdecimal() else 0

"""Giving a run to Slurm. Called by `local`, `resume` and `jobs`; `slurmjob` does what comes after.

The worker is the same as anywhere and meets its readers in the run folder, which the nodes share with this machine.
"""

from __future__ import annotations

import re
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab import atomic
from lab.errors import LabError
from lab.launching.earlier import references
from lab.launching.slurmjob import PATIENCE_SECONDS
from lab.launching.slurmscript import sbatch_words, script
from lab.launching.spawn import WORKER, worker_environment
from lab.profile.schema import Profile
from lab.runs.lineage import earlier_run
from lab.runs.paths import RunPaths
from lab.runs.reader import read_json
from lab.runs.state import LIVE, read_state
from lab.runs.submission import Submission, read_submission, write_submission
from lab.telemetry.slurmcall import call
from lab.text import sanitize

_JOB = re.compile(r"([0-9]+)(?:;([\w.-]+))?")


def submit(
    run: RunPaths,
    profile: Profile,
    *,
    command: Sequence[str] = WORKER,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Submission:
    """Write the run's batch script, give it to Slurm, and note the job in `slurm.json`.

    The caller holds the run's lock until this returns: a job that begins at once waits for it, and finds its number
    written.

    Args:
        command: arguments of the Python interpreter that come before the run's folder.
        environment: variables for the worker on top of this process's own.
        folder: where relative names in the profile begin; by default this process's working folder.

    Raises:
        LabError: sbatch is missing, refuses, or gives no answer. After a silence the job may be in the queue all the
            same; it ends by itself, because its folder is gone or another attempt has taken it over.
        OutOfSpaceError: the folder cannot be written.
    """
    place = folder or Path.cwd()
    words = sbatch_words(run, profile, place, _before(run, profile))
    worker = [sys.executable, *command, str(run.folder.absolute())]
    atomic.write_text(run.script, script(words, profile, worker))
    answer = call(words, timeout=PATIENCE_SECONDS, environment=worker_environment(environment))
    found = _JOB.fullmatch(answer.strip().rpartition("\n")[2])
    if found is None:
        raise LabError(
            f"sbatch answered {sanitize(answer.strip(), newlines=False, limit=80)!r}, which names no job.",
            f"Look with `squeue --name={run.id}` whether it was submitted, and cancel it.",
        )
    attempt = int((read_json(run.state) or {}).get("attempt", 1))
    job = Submission(found[1], found[2] or "", attempt, socket.gethostname(), time.time(), tuple(words))
    write_submission(run, job)
    return job


def _before(run: RunPaths, profile: Profile) -> list[str]:
    """Return the jobs of the living runs that this one builds on: waiting for them in the queue holds no GPU."""
    earlier = (earlier_run(run, value) for value in dict.fromkeys(references(profile).values()))
    jobs = (read_submission(other) for other in earlier if read_state(other).get("state") in LIVE)
    return [job.job for job in jobs if job is not None]

"""What Slurm's queue says of a run that nobody works on. Called by `lab.runs.state`.

A job that waits in a queue holds no lock, and one that was put back after a node failed or was taken away leaves a run
that looks lost: both are `queued`. Of a job that is gone Slurm may know why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.runs.paths import RunPaths
from lab.runs.submission import Submission, read_submission

if TYPE_CHECKING:
    from lab.telemetry.slurm import Job


def seen_in_queue(run: RunPaths, *, begun: bool, ended: bool) -> dict[str, Any]:
    """Return the fields of `state.json` that the queue changes; none for a run that was not given to Slurm.

    "unsettled" is true where they may change again though no file does.

    Args:
        begun: the attempt's worker has written something.
        ended: ... and its end, after a signal of Slurm's, which may put the job back.
    """
    submission = read_submission(run)
    if submission is None:
        return {}
    from lab.telemetry.slurm import find_job  # starts processes: most lists of runs hold no job of Slurm's

    job = find_job(submission.job, run.id, submission.cluster, submission.t)
    if job is None:
        told = f"submitted as {submission.label} on {submission.host}"
        return {} if begun else {"state": "queued", "detail": told}
    if job.waits:
        return {"state": "queued", "detail": _waiting(submission, job, begun), "end": None}
    if ended and job.under_way:  # preempted jobs are not put back at once; whoever follows the run must not leave
        told = f"{submission.label} is {job.words}: Slurm may put it back"
        return {"state": "queued", "detail": told, "end": None}
    if ended:
        return {"unsettled": not job.settled}
    if job.under_way:
        where = f" on {job.nodes}" if job.nodes else ""
        return {"state": "queued", "detail": f"{submission.label} is {job.words}{where}: its worker begins"}
    return _lost(run, submission, job, begun)


def _waiting(submission: Submission, job: Job, begun: bool) -> str:
    return f"{submission.label} {'was put back and ' if begun else ''}is {job.words}"


def _lost(run: RunPaths, submission: Submission, job: Job, begun: bool) -> dict[str, Any]:
    how = f"ended: {job.words}" if job.words else "left the queue"
    when = "and its worker wrote no end" if begun else "before the worker began"
    reason = f"{submission.label} {how}, {when}."
    if run.folder.parent.name == "jobs":
        remedy = f"See {run.log}, then give the command again."
    else:
        remedy = f"See `lab runs logs {run.id}`, then `lab runs resume {run.id}`."
    end = {"t": None, "outcome": "lost", "reason": reason, "remedy": remedy}
    return {"detail": reason.rstrip("."), "end": end, "unsettled": not job.settled}

"""`slurm.json`: which job of a Slurm cluster works on a run. Written by who submits it, and by the worker when Slurm
starts the job again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lab import atomic
from lab.runs.paths import RunPaths
from lab.runs.reader import read_json
from lab.text import sanitize

SCHEMA = 1


@dataclass(frozen=True)
class Submission:
    """A job as it was submitted.

    Attributes:
        job: its number; the job's name is the run's id, so that another cluster's job of this number is told from it.
        cluster: its name where sbatch gave one (`--clusters`), else "".
        attempt: of the run, that the job works on.
        host: where sbatch ran.
        t: when, in Unix seconds.
        words: what sbatch was given.
    """

    job: str
    cluster: str
    attempt: int
    host: str
    t: float
    words: tuple[str, ...]

    @property
    def label(self) -> str:
        """The job as people read it."""
        return f"Slurm job {self.job}" + (f" ({self.cluster})" if self.cluster else "")


def write_submission(run: RunPaths, submission: Submission) -> None:
    """Write `slurm.json`. Raises OutOfSpaceError."""
    atomic.write_json(run.submission, {"schema": SCHEMA, **asdict(submission)})


def read_submission(run: RunPaths) -> Submission | None:
    """Return the run's job; None for a run that was not given to Slurm, or whose file is damaged."""
    record = read_json(run.submission) or {}
    try:
        job, cluster, host = (_clean(record[key]) for key in ("job", "cluster", "host"))
        words = tuple(str(word) for word in record["words"])
        return Submission(job, cluster, int(record["attempt"]), host, float(record["t"]), words)
    except (KeyError, TypeError, ValueError):
        return None


def _clean(value: Any) -> str:
    return sanitize(str(value), newlines=False, limit=80)

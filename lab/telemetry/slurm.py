"""What Slurm says of the user's jobs: one squeue for all of them, some seconds old at most, asked beside the caller.

Called by `lab.runs` for runs that nobody works on, and by `lab doctor`. Where squeue is missing or silent nothing is
known, and callers say what the run folder says.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lab.errors import LabError
from lab.telemetry.check import Check
from lab.telemetry.slurmcall import call
from lab.text import listed, sanitize

FRESH_SECONDS = 5.0
ANSWER_SECONDS = 10.0
CLOCK_SECONDS = 5.0
"""By how much the clocks of two login nodes may differ."""
WAITING = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD")
UNDER_WAY = (
    *("CONFIGURING", "POWER_UP_NODE", "RUNNING", "COMPLETING", "STAGE_OUT", "SIGNALING", "RESIZING"),
    *("STOPPED", "SUSPENDED"),
)
ASKED, GONE = "ASKED", "GONE"
"""States of a job that squeue does not list: accounting is being asked how it ended, or does not know either."""


@dataclass(frozen=True)
class Job:
    """A job as Slurm tells it.

    Attributes:
        state: Slurm's own word, `ASKED` or `GONE`.
        reason: why it waits, or ended; "" where Slurm gives none.
        nodes: where it runs.
    """

    id: str
    state: str
    reason: str = ""
    nodes: str = ""
    name: str = ""

    @property
    def waits(self) -> bool:
        return self.state in WAITING

    @property
    def under_way(self) -> bool:
        return self.state in UNDER_WAY

    @property
    def settled(self) -> bool:
        """Whether nothing will change any more."""
        return not (self.waits or self.under_way or self.state == ASKED)

    @property
    def words(self) -> str:
        """State and reason for people: `pending (Priority)`, `out of memory`."""
        state = "" if self.state in (ASKED, GONE) else self.state.lower().replace("_", " ")
        return f"{state} ({self.reason})" if state and self.reason else state


def parse_queue(text: str) -> dict[str, Job]:
    """Return the jobs in the output of squeue with `_QUEUE`, by number; lines of another form are passed over."""
    rows = (_clean(line).split("|", 4) for line in text.splitlines())
    jobs = (_queued(*row) for row in rows if len(row) == 5)
    return {job.id: job for job in jobs}


def _queued(number: str, state: str, reason: str, nodes: str, name: str) -> Job:
    if state == "CANCELLED":  # Slurm leaves why it waited
        reason = ""
    return Job(number, state, _reason(reason), nodes, name)


def parse_accounting(text: str) -> dict[str, Job]:
    """Return the ended jobs in the output of sacct with `_ACCOUNTING`, by number.

    Accounting lags behind: a job that it takes for a living one is left out.
    """
    rows = (_clean(line).split("|", 3) for line in text.splitlines())
    jobs = (_accounted(*row) for row in rows if len(row) == 4)
    return {job.id: job for job in jobs if job.settled}


def _accounted(number: str, state: str, status: str, name: str) -> Job:
    word, _, by = state.partition(" ")  # "CANCELLED by 1000"
    return Job(number, word, by or ("" if status == "0:0" else f"exit code {status}"), "", name)


def _clean(line: str) -> str:
    return sanitize(line.strip(), newlines=False, limit=300)


def _reason(text: str) -> str:
    return "" if text in ("None", "(null)") else text


_QUEUE = ("squeue", "--me", "--noheader", "--states=all", "--format=%i|%T|%r|%N|%j")
_ACCOUNTING = ("sacct", "--allocations", "--noheader", "--parsable2", "--format=JobID,State,ExitCode,JobName")


class Watch:
    """The user's jobs on one cluster ("" for the one that the commands ask by themselves).

    The first look is waited for; later ones happen in a thread while callers get what was seen last.
    """

    def __init__(self, cluster: str = "") -> None:
        self._cluster = (f"--clusters={cluster}",) if cluster else ()
        self._mutex = threading.Lock()
        self._asked: set[str] = set()
        self._jobs: dict[str, Job] | None = None
        self._ended: dict[str, Job] = {}
        self._seen = 0.0
        self._looked = float("-inf")
        self._looking = False

    def find(self, number: str, name: str, since: float) -> Job | None:
        """Return the job of this number and name; None where Slurm has not answered yet.

        Args:
            since: when it was submitted, in Unix seconds: a look before that could not see it.
        """
        with self._mutex:
            self._asked.add(number)
            first = self._looked == float("-inf")
            due = not self._looking and time.monotonic() - self._looked >= FRESH_SECONDS
            self._looking = self._looking or due
        if due and first:
            self._look()
        elif due:
            threading.Thread(target=self._look, name="squeue", daemon=True).start()
        with self._mutex:
            return self._known(number, name, since)

    def _known(self, number: str, name: str, since: float) -> Job | None:
        if self._jobs is None:
            return None
        job = self._jobs.get(number)
        if job is None and since > self._seen - CLOCK_SECONDS:
            return Job(number, "PENDING")
        if job is None:
            job = self._ended.get(number, Job(number, ASKED, name=name))
        return job if job.name in (name, "") else Job(number, GONE)

    def _look(self) -> None:
        """Ask squeue, and accounting for jobs that squeue has forgotten; without an answer what was seen last stays."""
        began = time.time()
        try:
            jobs = parse_queue(call([*_QUEUE, *self._cluster], timeout=ANSWER_SECONDS))
        except LabError:
            jobs = None
        with self._mutex:
            missing = sorted(self._asked - set(jobs) - set(self._ended)) if jobs is not None else []
        ended = self._account(missing) if missing else {}
        with self._mutex:
            if jobs is not None:
                self._jobs, self._seen = jobs, began
            self._ended |= ended
            self._looked, self._looking = time.monotonic(), False

    def _account(self, numbers: list[str]) -> dict[str, Job]:
        """Return how the jobs ended; many clusters keep no accounts, or keep them for themselves."""
        gone = {number: Job(number, GONE) for number in numbers}
        try:
            text = call([*_ACCOUNTING, f"--jobs={','.join(numbers)}", *self._cluster], timeout=ANSWER_SECONDS)
        except LabError:
            return gone
        return gone | {number: job for number, job in parse_accounting(text).items() if number in gone}


_watches: dict[str, Watch] = {}


def find_job(number: str, name: str, cluster: str, since: float) -> Job | None:
    """Return what Slurm says of a job: see `Watch.find`."""
    return _watches.setdefault(cluster, Watch(cluster)).find(number, name, since)


def installed() -> bool:
    """Whether jobs can be submitted from this machine."""
    return shutil.which("sbatch") is not None


def check() -> Check:
    """Tell of `lab doctor` which Slurm is here, and whether its controller answers."""
    try:
        version = sanitize(call(["sbatch", "--version"], timeout=ANSWER_SECONDS).strip(), newlines=False, limit=60)
        rows = call(["sinfo", "--noheader", "--format=%P|%G"], timeout=ANSWER_SECONDS)
    except LabError as error:
        return Check("slurm", "warn", error.problem.rstrip("."), error.remedy)
    partitions = listed(list(dict.fromkeys(_partitions(rows.splitlines()))), most=6)
    return Check("slurm", "ok", f"{version}; partitions: {partitions or 'none'}")


def _partitions(lines: Iterable[str]) -> Iterator[str]:
    """Yield the partitions with their generic resources: `debug*`, `gpu [gpu:a100:4]`."""
    for line in lines:
        name, _, gres = _clean(line).partition("|")
        yield f"{name} [{gres}]" if _reason(gres) else name

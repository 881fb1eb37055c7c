"""The wish to stop, as the worker hears it: `stop.json` (finish the step, save) or SIGTERM (end now).

In a Slurm job the first SIGTERM is a wish, too: Slurm sends it ahead of the time limit, and before it takes a node away
or cancels a job, and then waits (KillWait, 30 s by default) before it kills.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from types import FrameType

from lab.launching.slurmscript import WARNING_SECONDS, limit_seconds
from lab.launching.stop import read_wish
from lab.runs.paths import RunPaths
from lab.runs.submission import Submission

POLL_SECONDS = 0.5
EARLY_SECONDS = 90.0
"""By how much Slurm may send its warning ahead of the time that was asked for; it looks once a minute or so."""


class Terminated(BaseException):
    """SIGTERM arrived, or a wish in the midst of loading.

    Not an Exception, so that no library's `except Exception` swallows it.
    """


class StopWish:
    """Polled after every step and every batch of answers.

    Attributes:
        reason: who asked; empty while nobody did.
        save: whether to save before the end.
        interrupted: the wish is Slurm's, which may put the job back into its queue.
    """

    def __init__(self, run: RunPaths, job: Submission | None = None) -> None:
        """
        Args:
            job: the Slurm job that this process is.
        """
        self._run = run
        self._job = job
        self._ends = None if job is None else time_limit(job, os.environ, time.time())
        self.reason = ""
        self.save = True
        self.interrupted = False
        self._loading = False

    def listen(self) -> None:
        """Take SIGTERM from now on, and SIGUSR1, by which `at_once` reaches the main thread."""
        signal.signal(signal.SIGTERM, self._terminate)
        signal.signal(signal.SIGUSR1, self._interrupt)

    def asked(self) -> bool:
        """Tell whether somebody asked for an end."""
        if not self.reason and (wish := read_wish(self._run)) is not None:
            self.reason = f"stopped by {wish.who or 'somebody'}"
            self.save = wish.mode == "save"
        return bool(self.reason)

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Let a wish interrupt what happens inside, as SIGTERM would: loading asks nobody, and has nothing to save."""
        done = threading.Event()

        def watch() -> None:
            while not done.wait(POLL_SECONDS):
                if self.asked():
                    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
                    return

        self._loading = True
        watcher = threading.Thread(target=watch, name="stop-wish", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            self._loading = False
            done.set()
            watcher.join()

    def ignore(self) -> None:
        """Take no more signals: the end is being written."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        if self._job is None:
            self.reason = "terminated (SIGTERM)"
            raise Terminated
        first = not self.asked()
        if first:
            self.reason, self.interrupted = slurm_reason(self._job, self._ends, time.time()), True
        if self._loading or not first:
            raise Terminated

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._loading:
            raise Terminated


def time_limit(job: Submission, environment: Mapping[str, str], now: float) -> float | None:
    """Return when the job's time is over, in Unix seconds; None where that is not known.

    Newer versions of Slurm tell it; else it is what was asked for, counted from the worker's start.
    """
    told = environment.get("SLURM_JOB_END_TIME", "")
    asked = next((word.partition("=")[2] for word in job.words if word.startswith("--time=")), "")
    limit = limit_seconds(asked)
    if told.isdecimal():
        return float(told)
    return None if limit is None else now + limit


def slurm_reason(job: Submission, ends: float | None, now: float) -> str:
    """Return why Slurm sent SIGTERM, as far as a job can know."""
    near = ends is not None and ends - now <= WARNING_SECONDS + EARLY_SECONDS
    why = "its time limit is near" if near else "it was cancelled, or its node is wanted for something else"
    return f"Slurm's SIGTERM to job {job.job}: {why}"

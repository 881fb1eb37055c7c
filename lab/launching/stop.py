"""Stopping a run: ask, SIGTERM, SIGKILL. Called by `lab runs stop` and the console; the worker reads the wish.

A run in a Slurm job gets its signals by scancel, from any host of the cluster; one that waits there is taken out.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lab import atomic
from lab.errors import LabError, OutOfSpaceError, RunStateError
from lab.jsonio import as_float
from lab.launching import slurmjob
from lab.runs import lock
from lab.runs.paths import RunPaths, complete_checkpoints
from lab.runs.reader import read_json
from lab.runs.state import LIVE, read_state
from lab.runs.store import RunInfo
from lab.runs.submission import read_submission
from lab.text import sanitize

Mode = Literal["save", "now"]
Rung = Literal["cancelled", "asked", "terminated", "killed"]
POLL_SECONDS = 0.05
SETTLE_SECONDS = 20.0
"""Some looks at Slurm's queue, and the time in which Slurm clears up a job."""
_SIGNALS: tuple[tuple[Rung, signal.Signals], ...] = (("terminated", signal.SIGTERM), ("killed", signal.SIGKILL))


@dataclass(frozen=True)
class Wish:
    """The content of `stop.json`: `save` finishes the step and saves first, `now` only ends in order."""

    mode: Mode
    who: str
    t: float | None


@dataclass(frozen=True)
class Stopped:
    """How far the ladder went.

    Attributes:
        rung: "cancelled" where a job had not begun; else what made it end, or was tried last.
        ended: nobody works on the run any more; otherwise it was asked and goes on for now.
        usable: the adapter, else the newest complete checkpoint, else None.
    """

    run: RunPaths
    rung: Rung
    ended: bool
    state: str
    usable: Path | None

    @property
    def line(self) -> str:
        """One line for people."""
        if not self.ended:
            return f"{self.run.id} was asked to stop and is still {self.state}"
        kept = f"{self.usable.relative_to(self.run.folder)} is usable" if self.usable else "no weights were saved"
        done = {"asked": "asked to stop", "cancelled": "taken out of Slurm's queue"}.get(self.rung, self.rung)
        return f"{self.run.id} was {done} and is {self.state}; {kept}"


def ask(run: RunPaths, who: str, mode: Mode = "save") -> Rung:
    """Ask the worker to stop; a later wish replaces an earlier one. A job in Slurm's queue is "cancelled" at once.

    Raises:
        RunStateError: nobody works on the run.
        OutOfSpaceError: the wish cannot be written.
        LabError: the job cannot be taken out of Slurm's queue.
    """
    if not lock.is_held(run.lock):
        if slurmjob.take_back(run, who):
            return "cancelled"
        raise _nobody(run)
    atomic.write_json(run.stop, {"mode": mode, "who": who, "t": time.time()})
    return "asked"


def read_wish(run: RunPaths) -> Wish | None:
    """Return the wish to stop, None where there is none; cheap enough to be asked every step."""
    record = read_json(run.stop)
    if record is None:
        return None
    mode: Mode = "now" if record.get("mode") == "now" else "save"
    return Wish(mode, sanitize(str(record.get("who", "")), newlines=False), as_float(record.get("t")))


def terminate(info: RunInfo) -> None:
    """Send SIGTERM to the worker and its children. Raises RunStateError where that is not safe or not possible."""
    _signal(info.run, signal.SIGTERM)


def kill(info: RunInfo) -> None:
    """Send SIGKILL to the worker and its children. Raises what `terminate` raises."""
    _signal(info.run, signal.SIGKILL)


def stop(
    info: RunInfo,
    *,
    who: str,
    wait: float,
    force: bool = False,
    progress: Callable[[str], None] = lambda line: None,
    grace: float = 10.0,
) -> Stopped:
    """Stop the run: ask it, and with `force` end it by signals if it does not.

    Args:
        wait: seconds for the worker to finish its step and save.
        grace: seconds after each signal.
        progress: is told that it was asked, and each further rung before it is taken.

    Raises:
        RunStateError: nobody works on the run, or (with `force`) its process cannot be reached from here.
        OutOfSpaceError: the wish cannot be written, and `force` was not given.
        LabError: Slurm's commands fail.
    """
    try:
        if ask(info.run, who) == "cancelled":
            return _outcome(info.run, "cancelled")
        progress("asked: it finishes its step, saves and ends")
    except OutOfSpaceError as error:  # a full disk must not keep a run from being stopped
        if not force:
            raise
        progress(str(error))
        wait = 0.0
    rung: Rung = "asked"
    ended = _ends(info.run, wait)
    for upper, number in _SIGNALS if force else ():
        if ended:
            break
        progress(f"{number.name} to its {'Slurm job' if read_submission(info.run) else 'process group'}")
        if not _sent(info.run, number):
            break
        rung, ended = upper, _ends(info.run, grace)
    return _outcome(info.run, rung)


def usable_weights(run: RunPaths) -> Path | None:
    """Return what of the run can be loaded: the adapter, else the newest complete checkpoint."""
    if any(run.adapter.glob("*.safetensors")):
        return run.adapter
    checkpoints = complete_checkpoints(run)
    return checkpoints[-1] if checkpoints else None


def _outcome(run: RunPaths, rung: Rung) -> Stopped:
    ended = not lock.is_held(run.lock)
    if ended and rung in ("terminated", "killed") and read_submission(run) is not None:
        _settles(run)
    return Stopped(run, rung, ended, str(read_state(run).get("state", "lost")), usable_weights(run))


def _settles(run: RunPaths) -> None:
    """Wait a little until Slurm knows as well that the worker is gone: for that long the run may begin again."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while read_state(run).get("state") in LIVE and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def _ends(run: RunPaths, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while lock.is_held(run.lock):
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _sent(run: RunPaths, number: signal.Signals) -> bool:
    """Send a signal; False if the worker had ended by itself just before."""
    try:
        _signal(run, number)
    except LabError:
        if lock.is_held(run.lock):
            raise
        return False
    return True


def _signal(run: RunPaths, number: signal.Signals) -> None:
    if (job := read_submission(run)) is not None:
        if not lock.is_held(run.lock):
            raise _nobody(run)
        slurmjob.signal(job, run, "TERM" if number == signal.SIGTERM else "KILL")
        return
    pid = _worker_pid(run)
    try:
        # Its children (data loaders) are in its group; started by hand in a shell it leads none, and goes alone.
        if os.getpgid(pid) == pid:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
    except ProcessLookupError:
        raise _nobody(run) from None
    except PermissionError:
        raise RunStateError(f"{run.id} belongs to another user.", "Ask its owner to stop it.") from None


def _worker_pid(run: RunPaths) -> int:
    """Return the process that works on `run`, after making sure that the number still means that process."""
    if not lock.is_held(run.lock):
        raise _nobody(run)
    who = lock.holder(run.lock)
    if who is None:
        raise RunStateError(f"{run.id} is only just starting.", "Try again in a second.")
    if (who.host, who.boot_id) != (socket.gethostname(), lock.boot_id()):
        host = sanitize(str(who.host), newlines=False, limit=80)
        raise RunStateError(f"{run.id} runs on another host, {host}.", "Stop it there, or ask without --force.")
    if not who.start_ticks or lock.start_ticks(who.pid) != who.start_ticks:
        raise RunStateError(
            f"The worker of {run.id} has gone, and another process keeps its lock.",
            f"Find that process with `fuser {run.lock}`.",
        )
    return who.pid


def _nobody(run: RunPaths) -> RunStateError:
    return RunStateError(f"Nobody works on {run.id}.", f"See how it ended with `lab runs show {run.id}`.")

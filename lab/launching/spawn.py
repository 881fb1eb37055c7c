"""Starting a worker that outlives its front: a session of its own, no terminal, the run's lock in its hands.

Called by `local.start`, `resume.resume` and `jobs.begin_job`, which hold the lock and have written the folder.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from lab.errors import LabError, OutOfSpaceError
from lab.launching.devices import PLACE
from lab.launching.hostlocks import Place
from lab.runs import lock
from lab.runs.paths import RunPaths
from lab.text import byte_size

# -P keeps the working folder off the module path: a user's evaluate.py beside the data would hide the library.
WORKER = ("-P", "-m", "lab.training.worker")
FREE_BYTES = 200_000_000
COMMAND = "LAB_COMMAND"
"""Variable in which a worker finds the command line that started it, as a JSON list."""


def check_space(folder: Path) -> None:
    """Refuse to start where not even a small run would fit.

    Raises:
        OutOfSpaceError: less than 200 MB are free on the disk that holds `folder`.
    """
    free = shutil.disk_usage(folder).free
    if free < FREE_BYTES:
        raise OutOfSpaceError(
            f"Only {byte_size(free)} are free in {folder}; a run needs {byte_size(FREE_BYTES)}.",
            "Free some, for example with `lab runs prune`, or set LAB_HOME to a larger disk.",
        )


def spawn(
    run: RunPaths,
    handle: int,
    *,
    command: Sequence[str] = WORKER,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    place: Place | None = None,
) -> None:
    """Start the worker of `run` and let it go.

    The worker shares the open lock `handle`; the caller closes its own copy afterwards and the lock stays held. When
    this process goes on living (the console), a thread waits for the worker's end, so that no zombie is left; a second
    fork would do the same for the price of one more Python start, and would lose the error of an exec that fails.

    Args:
        environment: variables on top of this process's own.
        folder: where relative names in the profile begin; by default this process's working folder.
        place: in the queue for devices, taken for this worker; given up here, and kept by the worker alone.

    Raises:
        LabError: the process could not be started; nothing of it is left.
    """
    inherited = worker_environment(environment)
    if place is not None:
        inherited[PLACE] = f"{place.handle}:{place.path.name}"
    try:
        with os.fdopen(os.open(run.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab") as log:
            worker = subprocess.Popen(
                [sys.executable, *command, str(run.folder), "--lock-fd", str(handle)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[handle] if place is None else [handle, place.handle],
                start_new_session=True,
                cwd=folder,
                env=inherited,
            )
    except OSError as error:
        if place is not None:
            place.leave()
        raise LabError(
            f"The worker of {run.id} could not be started ({error.strerror}).", "See `lab doctor` for what is short."
        ) from error
    if place is not None:
        os.close(place.handle)
    _name_holder(handle, worker.pid)
    threading.Thread(target=worker.wait, name=f"reap {worker.pid}", daemon=True).start()


def worker_environment(environment: Mapping[str, str] | None) -> dict[str, str]:
    """Return the variables of a worker: this process's own, the command line that started it, and `environment`."""
    words = json.dumps([Path(sys.argv[0]).name, *sys.argv[1:]])
    return {**os.environ, COMMAND: words, **(environment or {}), "PYTHONUNBUFFERED": "1"}


def _name_holder(handle: int, pid: int) -> None:
    """Write the worker into its lock, as it will itself: from here on it can be stopped, though it is still loading.

    `state.json` is not touched: it has one writer at a time, and that is the worker now. The lock can be written from
    both sides, since both write the same bytes.
    """
    who = lock.Holder(socket.gethostname(), lock.boot_id(), pid, lock.start_ticks(pid))
    content = json.dumps(asdict(who)).encode()
    try:
        os.pwrite(handle, content, 0)
        os.ftruncate(handle, len(content))
    except OSError:  # a full disk: the worker runs already, meets the same disk, and says so in its own end
        pass

"""The lock of a run: held by `flock` for the worker's whole life, so that "is it alive" needs no process table.

The launcher takes it and hands the open file to the worker; a worker that Slurm starts takes it itself. Where the file
system's locks do not reach across hosts, the file's content (host, boot id, process, its start) and its age serve as a
heartbeat: a worker that was killed there is missed after a minute, one that ends by itself at once.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.errors import RunStateError

HEARTBEAT_SECONDS = 5.0
STALE_SECONDS = 60.0


@dataclass(frozen=True)
class Holder:
    """Who holds a lock: the process is told apart from a later one of the same number by its start time."""

    host: str
    boot_id: str
    pid: int
    start_ticks: int


def boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def start_ticks(pid: int) -> int:
    """Return the start of process `pid` in clock ticks since boot (proc_pid_stat(5), field 22); 0 where unknown."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[19])


def this_process() -> Holder:
    return Holder(socket.gethostname(), boot_id(), os.getpid(), start_ticks(os.getpid()))


def acquire(path: Path, *, wait: float = 1.0) -> int:
    """Take the lock file at `path` exclusively and return its file descriptor, which the caller keeps open.

    Args:
        wait: seconds to retry; a reader that looks whether the lock is held blocks it for microseconds.

    Raises:
        RunStateError: another process holds it.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(handle)
                raise RunStateError(
                    f"Another worker holds {path.parent.name}.",
                    "Stop it first: `lab runs stop " + path.parent.name + "`.",
                ) from None
            time.sleep(0.02)


def adopt(handle: int) -> None:
    """Make an inherited lock this process's own: no child keeps it, neither by exec nor by a plain fork."""
    os.set_inheritable(handle, False)
    os.register_at_fork(after_in_child=lambda: os.close(handle))
    write_holder(handle)


def write_holder(handle: int) -> None:
    content = json.dumps(asdict(this_process())).encode()
    os.pwrite(handle, content, 0)
    os.ftruncate(handle, len(content))


def sign_off(handle: int) -> None:
    """Take this process's name out of the lock before it ends: readers on other hosts need not wait for its silence."""
    os.ftruncate(handle, 0)


def beat(handle: int) -> None:
    """Renew the heartbeat: the lock file's modification time."""
    os.utime(handle)


def holder(path: Path) -> Holder | None:
    """Return who wrote the lock last, or None."""
    try:
        return Holder(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def is_held(path: Path) -> bool:
    """Tell whether a living process holds the lock at `path`.

    On this host the kernel knows; for a holder on another host the heartbeat's age decides.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks (Lustre mounted without flock): the heartbeat is all there is
        pass
    finally:
        os.close(handle)
    who = holder(path)
    return who is not None and who.host != socket.gethostname() and time.time() - path.stat().st_mtime < STALE_SECONDS

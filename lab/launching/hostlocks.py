"""Lock files and waiting tickets that all users of a host share. Called by `devices` alone.

GPUs belong to the host and not to a user, so the folder is one that everybody can write, like /tmp. Nothing found in
it is trusted: links are not followed, what is no plain file is passed over, and text is cleaned.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import jsonio
from lab.errors import RunStateError
from lab.text import sanitize

SHARED_FOLDER = Path("/tmp/lora-lab-devices")
NOTE_LENGTH = 512
NOTE_LIMIT = 1 << 16
_TICKET = re.compile(r"ticket-(\d{1,20})-(\d{1,10})")
_SAFE = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
# The sticky bit on a file tells systemd-tmpfiles to leave it: a lock that is swept away would be taken twice.
_LOCK_MODE = 0o1666


@dataclass(frozen=True, order=True)
class Ticket:
    """A place in the queue: older ones (`t`, nanoseconds of the host's monotonic clock) come first."""

    t: int
    pid: int
    run: str
    locks: tuple[str, ...]


def lock_folder() -> Path:
    """Return the folder for device locks, made if need be: `$LAB_DEVICE_LOCKS`, else one in /tmp for all users.

    Raises:
        RunStateError: it cannot be made, or is not a folder of its own.
    """
    folder = Path(os.environ.get("LAB_DEVICE_LOCKS") or SHARED_FOLDER)
    try:
        folder.mkdir(mode=0o700)
        folder.chmod(0o1777)
    except FileExistsError:  # as a rule; what it is, is looked at below
        pass
    except OSError as error:
        raise _unusable(folder, error.strerror or "") from error
    if not stat.S_ISDIR(folder.lstat().st_mode):
        raise _unusable(folder, "not a folder")
    return folder


def take(folder: Path, name: str, run: str) -> int | None:
    """Take the lock `name` for `run` and return its file descriptor; None while another process holds it.

    Raises:
        RunStateError: the lock file cannot be opened.
    """
    handle = _open_lock(folder, name)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(handle).st_ino != (folder / name).lstat().st_ino:  # swept away before it was locked
            raise FileNotFoundError
    except (BlockingIOError, FileNotFoundError):
        os.close(handle)
        return None
    try:
        _write(handle, {"run": run, "pid": os.getpid()})
    except OSError as error:
        os.close(handle)
        raise _unusable(folder / name, error.strerror or "") from error
    return handle


def holder(folder: Path, name: str) -> str | None:
    """Return the run that holds the lock `name`, "another process" if it gives no name, None if the lock is free."""
    found = _read_locked(folder / name)
    return None if found is None else _clean(found.get("run")) or "another process"


@dataclass(frozen=True)
class Place:
    """A ticket that this process holds: it counts for as long as `handle` is open here or in a child."""

    ticket: Ticket
    path: Path
    handle: int

    def leave(self) -> None:
        """Give the place up."""
        self.path.unlink(missing_ok=True)
        os.close(self.handle)


def stand_in_line(folder: Path, run: str, locks: tuple[str, ...]) -> Place:
    """Take a place at the end of the queue for any one of `locks`.

    The ticket's file is locked before it gets its name, so that nobody sees it unlocked and takes it for a dead one.

    Raises:
        RunStateError: the folder cannot be written.
    """
    mine = Ticket(time.monotonic_ns(), os.getpid(), run, locks)
    path = folder / f"ticket-{mine.t}-{mine.pid}"
    scratch = folder / f".{path.name}"
    try:
        handle = os.open(scratch, os.O_RDWR | os.O_CREAT | os.O_EXCL | _SAFE, 0o600)
    except OSError as error:
        raise _unusable(folder, error.strerror or "") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        os.fchmod(handle, 0o644)
        _write(handle, {"run": run, "locks": list(locks)})
        scratch.rename(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        os.close(handle)
        raise
    return Place(mine, path, handle)


def inherited_place(path: Path, handle: int) -> Place | None:
    """Return the place that the process which started this one took for it; None if it is not there any more."""
    name = _TICKET.fullmatch(path.name)
    try:
        if name is None or os.fstat(handle).st_ino != path.lstat().st_ino:
            return None
    except OSError:
        return None
    note = _note(handle)
    return Place(_ticket(int(name[1]), int(name[2]), note), path, handle)


@contextlib.contextmanager
def ticket(folder: Path, run: str, locks: tuple[str, ...], place: Place | None = None) -> Iterator[Ticket]:
    """Stand in the queue for any one of `locks` while the context lasts.

    Args:
        place: one that is held already; given up for a new one where it is for other locks.
    """
    if place is not None and set(place.ticket.locks) != set(locks):
        place.leave()
        place = None
    held = place or stand_in_line(folder, run, locks)
    try:
        yield held.ticket
    finally:
        held.leave()


def living_tickets(folder: Path) -> list[Ticket]:
    """Return the tickets of waiting processes, the oldest first; those of dead ones are removed where we may."""
    found = []
    for path in folder.iterdir():
        name = _TICKET.fullmatch(path.name)
        if name is None:
            continue
        note = _read_locked(path)
        if note is None:
            with contextlib.suppress(OSError):  # another user's: dead all the same
                path.unlink()
            continue
        found.append(_ticket(int(name[1]), int(name[2]), note))
    return sorted(found)


def _ticket(t: int, pid: int, note: dict[str, Any]) -> Ticket:
    locks = note.get("locks")
    wanted = tuple(str(lock) for lock in locks) if isinstance(locks, list) else ()
    return Ticket(t, pid, _clean(note.get("run")), wanted)


def _open_lock(folder: Path, name: str) -> int:
    """Open a lock file; O_CREAT goes with O_EXCL, since the kernel (fs.protected_regular) refuses it alone for a file
    of another user in a folder like /tmp."""
    path = folder / name
    try:
        try:
            handle = os.open(path, os.O_RDWR | _SAFE)
        except FileNotFoundError:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _SAFE, 0o600)
            os.fchmod(handle, _LOCK_MODE)
    except FileExistsError:  # somebody made it just now
        return _open_lock(folder, name)
    except OSError as error:
        raise _unusable(path, "a link" if error.errno == errno.ELOOP else error.strerror or "") from error
    about = os.fstat(handle)
    if not stat.S_ISREG(about.st_mode) or about.st_nlink > 1:
        os.close(handle)
        raise _unusable(path, "no plain file of its own")
    return handle


def _read_locked(path: Path) -> dict[str, Any] | None:
    """Return what the process that holds the lock file at `path` wrote into it; None if nobody holds it."""
    try:
        handle = os.open(path, os.O_RDONLY | _SAFE)
    except OSError:
        return None
    try:
        return _note(handle) if _is_locked(handle) else None
    finally:
        os.close(handle)


def _is_locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _note(handle: int) -> dict[str, Any]:
    try:
        note = json.loads(os.pread(handle, NOTE_LIMIT, 0))
    except (OSError, ValueError):  # nothing, or somebody's nonsense
        return {}
    return note if isinstance(note, dict) else {}


def _write(handle: int, note: dict[str, Any]) -> None:
    """Write the note in one go over the old one, of the same length as a rule: a reader finds either of the two."""
    content = jsonio.dumps(note).encode("utf-8", "replace").ljust(NOTE_LENGTH)
    os.pwrite(handle, content, 0)
    os.ftruncate(handle, len(content))


def _clean(value: Any) -> str:
    return sanitize(str(value or ""), newlines=False, limit=100)


def _unusable(path: Path, why: str) -> RunStateError:
    return RunStateError(
        f"The device lock {path} cannot be used ({why}).",
        "Set LAB_DEVICE_LOCKS to a folder that every user of this host can write.",
    )

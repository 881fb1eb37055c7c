"""Kills by the kernel's memory guard, as the control group counts them. Noted by the worker, compared by readers.

A process that is killed for memory says nothing itself: that its group has one kill more than when it began is all the
evidence there is.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

CGROUPS = Path("/sys/fs/cgroup")
MINE = Path("/proc/self/cgroup")
BOOT = Path("/proc/sys/kernel/random/boot_id")
COUNTER = "oom_kill"  # in memory.events (version 2) and memory.oom_control (version 1)


def kill_counter(cgroups: Path = CGROUPS, mine: Path = MINE) -> dict[str, Any] | None:
    """Return where this process's kills are counted and how many there were; None where nobody counts."""
    for path in _counter_files(cgroups, _read(mine)):
        count = _count(path)
        if count is not None:
            return {"file": str(path), "kills": count, "host": socket.gethostname(), "boot_id": _read(BOOT).strip()}
    return None


def kills_since(noted: Mapping[str, Any], cgroups: Path = CGROUPS) -> int:
    """Return how many processes of the group were killed since `noted` was taken; 0 where that cannot be told.

    Args:
        noted: what `kill_counter` returned in a process that may have run on another host, or before a reboot; it comes
            out of a run folder, so no file beside the counters is read for it.
    """
    if noted.get("host") != socket.gethostname() or noted.get("boot_id") != _read(BOOT).strip():
        return 0
    path, before = Path(str(noted.get("file"))), noted.get("kills")
    if ".." in path.parts or not path.is_relative_to(cgroups) or not isinstance(before, int):
        return 0
    return max(0, (_count(path) or 0) - before)


def _counter_files(cgroups: Path, mine: str) -> Iterator[Path]:
    """Yield the group's own file, then, as a container may see the host's path, the one at the root of what it sees."""
    for line in mine.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root, name = (cgroups / "memory", "memory.oom_control") if controllers else (cgroups, "memory.events")
        yield root / path.lstrip("/") / name
        yield root / name


def _count(path: Path) -> int | None:
    words = (line.split() for line in _read(path).splitlines())
    return next((int(pair[1]) for pair in words if len(pair) == 2 and pair[0] == COUNTER), None)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""

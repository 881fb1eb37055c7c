"""How much memory this process may use: a container's or a job's limit is often less than the machine has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil

from lab.telemetry.check import Check
from lab.text import byte_size

CGROUPS = Path("/sys/fs/cgroup")
MINE = Path("/proc/self/cgroup")
DEMO_BYTES = 6_000_000_000  # LoRA in fp32 on two cores peaked at 5.2 GB resident


def memory() -> Check:
    """Hold the control group's limit against the machine's memory, and both against what the demo takes."""
    host, usable = psutil.virtual_memory(), usable_bytes()
    limited = usable < host.total
    found = f"{byte_size(host.total)}, {byte_size(host.available)} free"
    if limited:
        found = f"limited to {byte_size(usable)} of the machine's {byte_size(host.total)}"
    if usable < DEMO_BYTES:
        return Check("memory", "warn", found, f"The demo takes about {byte_size(DEMO_BYTES)}: give the lab more.")
    if limited:
        remedy = "A run that needs more is killed without a word: raise the limit of the container or job."
        return Check("memory", "warn", found, remedy)
    return Check("memory", "ok", found)


def usable_bytes() -> int:
    """Return the machine's memory, or the control group's limit where that is less."""
    total = int(psutil.virtual_memory().total)
    limit = memory_limit(CGROUPS, _read(MINE))
    return total if limit is None else min(total, limit)


def memory_limit(cgroups: Path, mine: str) -> int | None:
    """Return the lowest limit in bytes of this process's control group and those around it, None where there is none.

    Args:
        cgroups: where control groups are mounted.
        mine: the content of /proc/self/cgroup.
    """
    texts = (_read(path).strip() for path in _limit_files(cgroups, mine))
    limits = [int(text) for text in texts if text.isdecimal()]  # version 2 writes "max" for none
    return min(limits, default=None)


def _limit_files(cgroups: Path, mine: str) -> Iterator[Path]:
    """Yield the files of version 2 and version 1; in a container the path may be the host's, and only the root fits."""
    for line in mine.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root, name = (cgroups / "memory", "memory.limit_in_bytes") if controllers else (cgroups, "memory.max")
        parts = [part for part in path.split("/") if part]
        yield from (root.joinpath(*parts[:depth]) / name for depth in range(len(parts) + 1))


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""

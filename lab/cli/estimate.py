"""How long runs will take here: a few seconds of timing in a child process, and the sum. For `demo` and `plan`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.bench.work import Speeds, Work
    from lab.profile.load import Resolved

MODULE = "lab.bench.speed"
TIMING_SECONDS = 5.0
PATIENCE_SECONDS = 600.0


def estimate_study(profiles: Sequence[Resolved], seconds: float = TIMING_SECONDS) -> float | None:
    """Time the machine on each profile's model, method and data; return how long all of them take, one by one.

    Args:
        seconds: to time for, over all of them; libraries and models are loaded besides. Equal work is timed once.

    Returns:
        Seconds; None where something that there is to do could not be timed.

    Raises:
        LabError: what a worker would fail with.
    """
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from lab.bench.work import Speeds, Work
    from lab.launching.child import json_lines
    from lab.profile.dump import to_toml

    different = {one.hash: one for one in profiles}
    with TemporaryDirectory(prefix="lab-estimate-") as folder:
        files = {key: Path(folder) / f"{key}.toml" for key in different}
        for key, path in files.items():
            path.write_text(to_toml(different[key].profile), encoding="utf-8")
        arguments = [*map(str, files.values()), "--seconds", str(seconds)]
        records = dict(zip(files, json_lines(MODULE, arguments, timeout=PATIENCE_SECONDS), strict=True))
    measured = {key: (Work(**found["work"]), Speeds(**found["speeds"])) for key, found in records.items()}
    return estimate_seconds([measured[one.hash] for one in profiles])


def estimate_seconds(rows: Sequence[tuple[Work, Speeds]]) -> float | None:
    """Return how long runs take one after the other; None where a speed is missing for what there is to do."""
    from lab.bench.work import seconds_of

    each = [seconds_of(work, speeds) for work, speeds in rows]
    return None if None in each else sum(one for one in each if one is not None)


def about(seconds: float) -> str:
    """Return a time as one would say it: "about 40 seconds", "about 7 minutes", "about 2 hours"."""
    for unit, size, limit in (("second", 1.0, 90.0), ("minute", 60.0, 5400.0), ("hour", 3600.0, float("inf"))):
        if seconds < limit:
            count = max(1, round(seconds / size))
            count = round(count, -1) if unit == "second" and count > 10 else count
            return f"about {count:,} {unit}" + ("" if count == 1 else "s")
    raise ValueError(seconds)

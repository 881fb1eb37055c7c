"""An export job from its request to `exported.json`. Called by the worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lab import atomic
from lab.exporting.gguf import gguf
from lab.exporting.merge import merge
from lab.exporting.work import Halted, Work
from lab.profile.schema import Profile
from lab.runs.paths import RunPaths
from lab.runs.writer import RunWriter

EXPORTS: dict[str, Callable[[Work], dict[str, Any]]] = {"merge": merge, "gguf": gguf}


def export(
    job: RunPaths,
    owner: RunPaths,
    writer: RunWriter,
    profile: Profile,
    device: str,
    stop_asked: Callable[[], bool],
) -> bool:
    """Make what the job's `export.json` asks for. Returns False if somebody asked to stop first.

    Raises:
        LabError: it cannot be made; nothing that looks finished is left.
    """
    try:
        work = Work.open(job, owner, writer, profile, device, stop_asked)
        writer.phase("evaluating", f"{work.request.kind}: first weights")
        record = EXPORTS[work.request.kind](work)
    except Halted:
        return False
    atomic.write_json(job.result, record)
    return True

"""What `train`, `study run` and `demo` share: the checks before a start, the start, the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from lab.cli.output import note

if TYPE_CHECKING:
    from lab.profile.load import Resolved
    from lab.runs.labels import Labels
    from lab.runs.paths import RunPaths
    from lab.runs.store import RunInfo


def check_before_start(resolved: Resolved) -> None:
    """Refuse what can be refused without loading anything: model name, data files, unknown bundled names."""
    from lab.training.precheck import check

    check(resolved.profile)


def start_all(rows: Sequence[tuple[Resolved, Labels]]) -> list[RunPaths]:
    """Check every row, then start them all; those that wait for the device queue up in this order."""
    from lab.launching.local import start
    from lab.runs.submission import read_submission

    for resolved, _ in rows:
        check_before_start(resolved)
    runs = []
    for resolved, labels in rows:
        runs.append(start(resolved, labels=labels, in_line=True))
        job = read_submission(runs[-1])
        note(f"Started {runs[-1].id}" if job is None else f"Submitted {runs[-1].id} as {job.label}")
    return runs


def report_ends(infos: Sequence[RunInfo]) -> None:
    """Say how runs ended; the command fails if one of them did.

    Raises:
        typer.Exit: with code 1.
    """
    from lab.cli.follow import describe_end

    for info in infos:
        note(describe_end(info))
    if any(info.state in ("failed", "lost") for info in infos):
        raise typer.Exit(1)

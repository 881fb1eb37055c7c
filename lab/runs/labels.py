"""What people say about a run: name, tags, notes, archived, and which row of which study it is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lab import atomic
from lab.runs.paths import RunPaths
from lab.runs.reader import read_json
from lab.text import sanitize


@dataclass(frozen=True)
class Labels:
    """The content of `labels.json`. `study` and `row` are set when a study starts the run."""

    name: str = ""
    tags: tuple[str, ...] = ()
    notes: str = ""
    archived: bool = False
    study: str = ""
    row: str = ""


def read_labels(run: RunPaths) -> Labels:
    """Return the run's labels, cleaned; those of a run without any are empty."""
    record: dict[str, Any] = read_json(run.labels) or {}
    return Labels(
        name=sanitize(str(record.get("name", "")), newlines=False),
        tags=tuple(sanitize(str(tag), newlines=False) for tag in record.get("tags", ())),
        notes=sanitize(str(record.get("notes", ""))),
        archived=bool(record.get("archived", False)),
        study=sanitize(str(record.get("study", "")), newlines=False),
        row=sanitize(str(record.get("row", "")), newlines=False),
    )


def write_labels(run: RunPaths, labels: Labels) -> None:
    atomic.write_json(run.labels, asdict(labels))

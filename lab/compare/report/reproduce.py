"""How to make a report's runs again: commands, versions, hashes, profiles. Called by the page and by Markdown."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from lab.compare.report.gather import Report, ReportRow
from lab.compare.trees import at
from lab.text import byte_size, sanitize

HASHES = (
    "run",
    "profile",
    "model commit",
    "train rows",
    "validation rows",
    "test rows",
    "answered rows",
    "template",
    "evaluation",
)


def commands(report: Report) -> list[str]:
    """Return the study's command, then those that started its runs, each once."""
    found = [report.command] if report.command else []
    for row in report.rows:
        argv = row.entry.environment.get("argv")
        if isinstance(argv, list) and argv:
            found.append(shlex.join(str(word) for word in argv))
    return [sanitize(command, newlines=False) for command in dict.fromkeys(found)]


def versions(report: Report) -> list[tuple[str, str]]:
    """Return (what, which) of machine and packages; where rows differ, each value with its rows."""
    records = [(row, _environment(row.entry.environment)) for row in report.rows]
    names = dict.fromkeys(name for _, record in records for name in record)
    return [(name, _told(name, records)) for name in names]


def _told(name: str, records: list[tuple[ReportRow, dict[str, str]]]) -> str:
    values: dict[str, list[str]] = {}
    for row, record in records:
        values.setdefault(record.get(name, "unknown"), []).append(row.label)
    if len(values) == 1:
        return next(iter(values))
    return "; ".join(f"{value} ({', '.join(labels)})" for value, labels in values.items())


def _environment(record: Mapping[str, Any]) -> dict[str, str]:
    memory = at(record, "host.memory_bytes")
    found = {
        "GPU": at(record, "gpu.name"),
        "driver": record.get("driver"),
        "CUDA": record.get("cuda"),
        "CPU": at(record, "host.cpu"),
        "cores": at(record, "host.cores"),
        "memory": byte_size(memory) if isinstance(memory, int | float) else None,
        "system": at(record, "host.system"),
        "precision": at(record, "model.dtype"),
        "python": record.get("python"),
        **(record.get("packages") or {}),
    }
    return {name: str(value) for name, value in found.items() if value is not None}


def hashes(row: ReportRow) -> list[str]:
    """Return the values of `HASHES` for one row; `-` where none was recorded."""
    entry = row.entry
    found = (
        entry.id,
        row.info.record.get("profile_hash"),
        at(entry.environment, "model.commit"),
        at(entry.data, "splits.train.hash"),
        at(entry.data, "splits.validation.hash"),
        at(entry.data, "splits.test.hash"),
        entry.spec.get("rows_hash"),
        at(entry.data, "template.hash"),
        entry.spec.get("hash"),
    )
    return [entry.id, *(sanitize(str(value), newlines=False)[:16] if value else "-" for value in found[1:])]


def profile_text(row: ReportRow) -> str:
    """Return the run's resolved profile as it was recorded; empty where the file is gone."""
    try:
        return sanitize(row.info.run.profile.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return ""

"""A table for programs: JSON and CSV, with every column and full precision."""

from __future__ import annotations

import csv
import io
from typing import Any

from lab.compare.best import value_of
from lab.compare.entry import Entry
from lab.compare.table import Table

_FORMULA = ("=", "+", "-", "@")


def as_json(table: Table) -> dict[str, Any]:
    """Return what `lab compare --json` prints; `run` is null for floor, ceiling and means, which no run made."""
    return {
        "rows": [_row(table, entry) for entry in table.entries],
        "warnings": [finding.as_json() for finding in table.findings],
        "notes": [*table.notes],
        "reference": table.reference,
    }


def as_csv(table: Table) -> str:
    """Return one line a row, each metric with its bounds; a cell without a value is empty."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    seeded = any(entry.kind == "seeds" for entry in table.entries)
    figures = ("value", "low", "high", *(["sd"] if seeded else []))
    bounds = [(column.key, bound) for column in table.columns if column.quality for bound in figures]
    costs = [column for column in table.columns if not column.quality]
    header = [name if bound == "value" else f"{name}_{bound}" for name, bound in bounds]
    writer.writerow(["run", "kind", "name", "profile", "model", "method", "state", *header, *(c.key for c in costs)])
    for entry in table.entries:
        row = _row(table, entry)
        texts = [row[key] for key in ("run", "kind", "name", "profile", "model", "method", "state")]
        numbers = [entry.metrics.get(name, {}).get(bound) for name, bound in bounds]
        writer.writerow(map(_harmless, [*texts, *numbers, *(value_of(entry, column) for column in costs)]))
    return file.getvalue()


def _row(table: Table, entry: Entry) -> dict[str, Any]:
    keys = ("value", "low", "high", "signature", *(["sd", "seeds"] if entry.kind == "seeds" else []))
    return {
        "run": entry.id if entry.kind in ("run", "artifact") else None,
        "kind": entry.kind,
        "name": table.labels[entry.id],
        "profile": entry.profile or None,
        "model": entry.model or None,
        "method": entry.method or None,
        "state": entry.state or None,
        "metrics": {name: {key: record[key] for key in keys} for name, record in entry.metrics.items()},
        "cost": entry.cost,
        "counts": entry.counts,
        "differences": {metric: delta.as_json() for (run, metric), delta in table.deltas.items() if run == entry.id},
    }


def _harmless(value: Any) -> Any:
    """A spreadsheet runs a text that begins like a formula; an apostrophe keeps it text."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value

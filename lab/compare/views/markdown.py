"""A table as GitHub Markdown, for notes and model cards: the best in bold, all columns, all warnings."""

from __future__ import annotations

import re

from lab.compare.columns import Column
from lab.compare.entry import Entry
from lab.compare.table import Table
from lab.compare.views.cells import BRACKETS, cell, delta_cell
from lab.compare.views.text import filled_columns, heads_of

# What could begin formatting, a link, HTML or another cell within a line.
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~#!&$])")


def as_markdown(table: Table) -> str:
    """Return the table, the differences to the reference row, and lists of signatures, warnings and notes."""
    if not table.entries:
        return "There are no rows to compare.\n"
    columns, heads = filled_columns(table), heads_of(table)
    body = [[_value(table, entry, column) for column in columns] for entry in table.entries]
    lines = [[*map(escape, heads[0]), *(escape(column.label) for column in columns)]]
    lines += [[*map(escape, head), *values] for head, values in zip(heads[1:], body, strict=True)]
    parts = [_pipes(lines, len(heads[0])), _differences(table), *_lists(table)]
    return "\n\n".join(part for part in parts if part) + "\n"


def escape(text: str) -> str:
    """Return `text` so that Markdown shows it as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _value(table: Table, entry: Entry, column: Column) -> str:
    text = escape(cell(entry, column, BRACKETS))
    return f"**{text}**" if entry.id in table.best[column.key] else text


def _differences(table: Table) -> str:
    tested = [entry for entry in table.entries if any(run == entry.id for run, _ in table.deltas)]
    if not tested or table.reference is None:
        return ""
    columns = [c for c in table.columns if any(metric == c.key for _, metric in table.deltas)]
    title = f"Differences to {escape(table.labels[table.reference])} (95 % intervals; p corrected by Holm):"
    lines = [["run", *(escape(column.label) for column in columns)]]
    for entry in tested:
        found = (delta_cell(table.deltas.get((entry.id, column.key)), column, BRACKETS) for column in columns)
        lines.append([escape(table.labels[entry.id]), *map(escape, found)])
    return f"{title}\n\n{_pipes(lines, 1)}"


def _pipes(lines: list[list[str]], heads: int) -> str:
    rule = ["---" if at < heads else "---:" for at in range(len(lines[0]))]
    return "\n".join("| " + " | ".join(line) + " |" for line in (lines[0], rule, *lines[1:]))


def _lists(table: Table) -> list[str]:
    signatures = [f"- {escape(labels)}: {escape(signature)}" for signature, labels in table.signatures.items()]
    warnings = [f"- {finding.level}: {escape(finding.sentence)}" for finding in table.findings]
    notes = [f"- {escape(note)}" for note in table.notes]
    titled = (("Signatures", signatures), ("Warnings", warnings), ("Notes", notes))
    return [f"{title}:\n\n" + "\n".join(lines) for title, lines in titled if lines]

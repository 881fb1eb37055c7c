"""A table as plain text for a terminal of any width. Called by `lab compare`, `lab study show` and `lab demo`.

Nothing here wraps a row: quality and cost stand side by side where there is room, else one above the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lab.compare.best import value_of
from lab.compare.columns import Column
from lab.compare.deltas import same_answers
from lab.compare.table import Table
from lab.compare.views.cells import ASCII, BRACKETS, HALF, UNICODE, Glyphs, cell, delta_cell
from lab.compare.views.fold import fold, hung
from lab.compare.views.grid import Block, Cells, fitted
from lab.text import plural


def as_text(table: Table, width: int | None = None, *, ascii_only: bool = False) -> str:
    """Return the table with its differences, signatures, warnings and notes beneath.

    Args:
        width: of the terminal; None never folds and gives up nothing.
        ascii_only: for terminals without other characters.
    """
    if not table.entries:
        return "There are no rows to compare.\n"
    glyphs = ASCII if ascii_only else UNICODE
    parts = [*_tables(table, width, glyphs), _differences(table, width, glyphs), *_beneath(table, width)]
    return glyphs.text("\n\n".join("\n".join(part) for part in parts if part) + "\n")


def filled_columns(table: Table) -> list[Column]:
    """Return the columns that tables for people show: those in which at least one row has a value."""
    shown = [column for column in table.columns if column.shown]
    return [column for column in shown if any(value_of(entry, column) is not None for entry in table.entries)]


def heads_of(table: Table) -> Cells:
    """Return the first cells of each line, header first: the names, and the methods where names do not say them."""
    told = all(e.method in table.labels[e.id] for e in table.entries)
    lines = [["run", "method"], *([table.labels[e.id], e.method or "-"] for e in table.entries)]
    return [line[:1] for line in lines] if told else lines


def _tables(table: Table, width: int | None, glyphs: Glyphs) -> list[list[str]]:
    columns = filled_columns(table)
    quality = [column for column in columns if column.quality]
    fill, heads = _filler(table, glyphs), len(heads_of(table)[0])
    whole = fitted(fill, columns, heads, width, glyphs)
    if whole.detail >= BRACKETS and not whole.dropped:
        blocks = [whole]
    else:
        halves = (quality, columns[len(quality) :])
        blocks = [fitted(fill, half, heads, width, glyphs) for half in halves if half]
    return [*(block.lines for block in blocks), _legend(table, blocks, width, glyphs)]


def _filler(table: Table, glyphs: Glyphs) -> Callable[[Sequence[Column], int], Cells]:
    heads = [[glyphs.text(text) for text in line] for line in heads_of(table)]

    def fill(columns: Sequence[Column], detail: int) -> Cells:
        marks = [
            ["*" if e.id in table.best[c.key] else " " if table.best[c.key] else "" for c in columns]
            for e in table.entries
        ]
        body = [
            [cell(e, c, detail, glyphs, mark) for c, mark in zip(columns, line, strict=True)]
            for e, line in zip(table.entries, marks, strict=True)
        ]
        header = [column.label for column in columns]
        return [head + line for head, line in zip(heads, [header, *body], strict=True)]

    return fill


def _legend(table: Table, blocks: list[Block], width: int | None, glyphs: Glyphs) -> list[str]:
    details = {block.detail for block in blocks}
    interval = "[low high] 95 % bootstrap interval" if max(details) >= BRACKETS else ""
    if HALF in details and any(record["low"] is not None for e in table.entries for record in e.metrics.values()):
        interval = f"{glyphs.plus_minus} half of the 95 % bootstrap interval"
    spread = "sd between seeds" if any(e.kind == "seeds" for e in table.entries) else ""
    best = "* best of the rows that may be compared" if any(table.best.values()) else ""
    lines = ["; ".join(part for part in (best, interval, spread) if part)]
    dropped = [column.label for block in blocks for column in block.dropped]
    if dropped:
        lines.append(f"No room for {', '.join(dropped)}: use a wider terminal, or another format.")
    return [part for line in lines if line for part in (fold(line, width) if width else [line])]


def _differences(table: Table, width: int | None, glyphs: Glyphs) -> list[str]:
    tested = [e for e in table.entries if any(run == e.id for run, _ in table.deltas)]
    if not tested or table.reference is None:
        return []
    columns = [c for c in table.columns if any(metric == c.key for _, metric in table.deltas)]
    names = [["difference"], *([glyphs.text(table.labels[e.id])] for e in tested)]

    def fill(columns: Sequence[Column], detail: int) -> Cells:
        body = [[delta_cell(table.deltas.get((e.id, c.key)), c, detail, glyphs) for c in columns] for e in tested]
        return [head + line for head, line in zip(names, [[c.label for c in columns], *body], strict=True)]

    block = fitted(fill, columns, 1, width, glyphs)
    title = (
        f"Differences to {table.labels[table.reference]} on the same {same_answers(table.deltas.values())}"
        f" (p corrected by Holm for {plural(len(table.deltas), 'test')})"
    )
    left_out = f"No room for {', '.join(column.label for column in block.dropped)}." if block.dropped else ""
    return [*hung("", title, width), *block.lines, *(hung("", left_out, width) if left_out else [])]


def _beneath(table: Table, width: int | None) -> list[list[str]]:
    signatures = [
        line
        for signature, labels in table.signatures.items()
        for line in hung(f"  {labels}: ", signature, width, after="|")
    ]
    findings = [line for f in table.findings for line in hung(f"  {f.level}: ", f.sentence, width)]
    notes = [line for note in table.notes for line in hung("  ", note, width)]
    titled = (("Signatures", signatures), ("Warnings", findings), ("Notes", notes))
    return [[title, *lines] for title, lines in titled if lines]

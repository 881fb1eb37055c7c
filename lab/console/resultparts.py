"""The Results page as parts: the table's columns and rows, bars of every figure, the sentences beneath."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lab.console.looks import Looks
from lab.console.widgets.blocks import Block
from lab.console.widgets.parts import Part, width_of
from lab.console.widgets.table import Column, Row
from lab.text import display_width, pad

if TYPE_CHECKING:
    from lab.compare.columns import Column as Figure
    from lab.compare.entry import Entry
    from lab.compare.table import Table

NAME_WIDTH = 18
HEADS = 2
"""Columns before the figures: name and method."""
BOUNDS = ("floor", "ceiling")
"""Kinds of rows that frame the others: what chance agreement scores, and what the references do."""
_NAMES = {"run": "bold", "artifact": "", "seeds": "italic"}
LEVELS = {"blocking": "bold $error", "confounding": "$warning"}


def figures_of(table: Table) -> list[Figure]:
    """Return the columns that people see: those with a value in at least one row."""
    from lab.compare.views.text import filled_columns

    return filled_columns(table)


def sorted_entries(table: Table, figure: Figure | None, *, reverse: bool) -> list[Entry]:
    """Return the rows, the best of `figure` first (the lowest where neither is better); rows without it come last.

    Floor and ceiling are no competitors: sorted rows stand before them.
    """
    if figure is None:
        return list(table.entries)[:: -1 if reverse else 1]
    rows = [entry for entry in table.entries if entry.kind not in BOUNDS]
    values = {entry.id: value for entry in rows if (value := _number(entry, figure)) is not None}
    known = [entry for entry in rows if entry.id in values]
    downwards = (figure.better == "higher") != reverse
    known.sort(key=lambda entry: values[entry.id], reverse=downwards)
    unknown = [entry for entry in rows if entry.id not in values]
    return known + unknown + [entry for entry in table.entries if entry.kind in BOUNDS]


def _number(entry: Entry, figure: Figure) -> float | None:
    from lab.compare.best import value_of

    value = value_of(entry, figure)
    usable = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if usable else None


def table_columns(figures: Sequence[Figure], rows: Sequence[Row]) -> list[Column]:
    """Return name and figures as columns; where room is short the last figures go first."""
    columns = [Column("name", "run", NAME_WIDTH, flexible=True), Column("method", "method", 8, rank=90)]
    for index, figure in enumerate(figures):
        texts = [width_of(row.cells[index + HEADS]) for row in rows]
        width = max(display_width(figure.label), *texts, 4)
        columns.append(Column(figure.key, figure.label, width, right=True, rank=index + 1))
    return columns


def table_rows(
    table: Table, entries: Sequence[Entry], figures: Sequence[Figure], marks: Mapping[str, Part]
) -> list[Row]:
    """Return the rows; `marks` are signs before the names, by id. The best of a column stands out."""
    from lab.compare.views.cells import HALF, cell

    rows: list[Row] = []
    for entry in entries:
        cells: list[tuple[Part, ...]] = []
        for figure in figures:
            best = entry.id in table.best.get(figure.key, ())
            space = " " if table.best.get(figure.key) else ""
            text = cell(entry, figure, HALF, mark="*" if best else space)
            quiet = text.strip() == "-" or entry.kind in BOUNDS
            cells.append(((text, "bold $success" if best else ("$quiet" if quiet else "")),))
        mark = [marks[entry.id], (" ", "")] if entry.id in marks else []
        name: Part = (table.labels[entry.id], _NAMES.get(entry.kind, "$quiet"))
        rows.append(Row(entry.id, ((*mark, name), ((entry.method, "$quiet"),), *cells)))
    return rows


def bar_blocks(
    table: Table, entries: Sequence[Entry], figures: Sequence[Figure], width: int, looks: Looks
) -> list[Block]:
    """Return a block for each figure: a title, and for each of `entries` a bar; the best stands out."""
    from lab.compare.views.cells import HALF, cell

    blocks: list[Block] = []
    name_width = min(max((display_width(label) for label in table.labels.values()), default=4), 24)
    room = max(width - name_width - 24, 8)
    for figure in figures:
        values = {entry.id: value for entry in entries if (value := _number(entry, figure)) is not None}
        if not values:
            continue
        top = 1.0 if figure.unit == "fraction" else max([*values.values(), 0.0]) or 1.0
        hint = {"higher": "more is better", "lower": "less is better"}.get(figure.better, "")
        lines: list[list[Part]] = [[(figure.label, "bold"), (f"  {hint}", "$quiet")]]
        for entry in entries:
            bound = entry.kind in BOUNDS
            if bound and entry.id not in values:
                continue
            length = round(max(values.get(entry.id, 0.0), 0.0) / top * room)
            best = entry.id in table.best.get(figure.key, ())
            bar = ("=" if looks.plain else "▆") * length
            style = "$success" if best else ("$quiet" if bound else "$curve-main")
            text = cell(entry, figure, HALF, mark="*" if best else "")
            lines.append([(pad(table.labels[entry.id], name_width) + "  ", "$quiet"), (bar, style), (f" {text}", "")])
        blocks.append(Block(figure.key, figure.label, [*lines, []]))
    return blocks


def sentence_lines(table: Table) -> list[list[Part]]:
    """Return what stands against the comparison, then the notes: one sentence each, not folded."""
    found: list[list[Part]] = [
        [(f"{f.level} ", LEVELS.get(f.level, "$warning")), (f.sentence, "")] for f in table.findings
    ]
    return found + [[(note, "$quiet")] for note in table.notes]


def full_notes(table: Table, width: int) -> list[Part]:
    """Return differences, warnings, notes and signatures in full, as `lab compare` prints them below its table."""
    from lab.compare.views.text import as_text

    text = as_text(table, width)
    return [("The comparison in full\n\n", "bold"), (text, "")]

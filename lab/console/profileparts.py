"""The Profiles page as parts: a profile's row, and its values with what set them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from lab.console.widgets.parts import Part
from lab.console.widgets.table import Column, Row
from lab.console.widgets.wrap import wrap
from lab.text import display_width, pad

if TYPE_CHECKING:
    from lab.console.profilelist import ProfileRow, Value

COLUMNS = (
    Column("name", "name", 20),
    Column("method", "method", 9),
    Column("summary", "what", 12, flexible=True, rank=1),
)
KEY_WIDTH, ORIGIN_WIDTH = 22, 24


def matching(rows: Sequence[ProfileRow], search: str) -> list[ProfileRow]:
    """Return the rows that hold every word of `search` somewhere."""
    words = search.casefold().split()
    return [
        row
        for row in rows
        if all(word in f"{row.name} {row.method} {row.summary} {row.description}".casefold() for word in words)
    ]


def table_row(row: ProfileRow) -> Row:
    style = "$error" if row.problem else ("$accent" if row.kind == "study" else "")
    summary = row.description or row.summary
    return Row((row.kind, row.name), (((row.name, style),), ((row.method, style or ""),), ((summary, "$quiet"),)))


def value_lines(row: ProfileRow, width: int, *, every: bool) -> list[list[Part]]:
    """Return the description and the values; without `every` only those that somebody set."""
    lines: list[list[Part]] = [*wrap([(row.description, "")], width), []] if row.description else []
    if row.problem:
        return [*lines, *wrap([(row.problem, "$error")], width)]
    if row.kind == "study":
        return [*lines, *_study_lines(row.values)]
    told = [value for value in row.values if value.key != "description"]
    shown = [value for value in told if every or value.chosen]
    for table, members in groupby(shown, key=lambda value: value.key.partition(".")[0]):
        lines.append([(table, "$accent")])
        lines += [_value(table, value, width) for value in members]
    hidden = len(told) - len(shown)
    return lines + ([[(f"{hidden} more are defaults: a shows them", "$quiet")]] if hidden else [])


def _study_lines(rows: Sequence[Value]) -> list[list[Part]]:
    """Return name, method and profile of each row; the names' column is as wide as the longest of them."""
    names = max([KEY_WIDTH - 1, *(display_width(row.key) for row in rows)]) + 1
    header: list[Part] = [(f"{'row':<{names}}method     profile", "$quiet")]
    return [
        header,
        *([(pad(v.key, names), "bold"), (pad(v.value, 10) + " ", ""), (v.origin, "$quiet")] for v in rows),
    ]


def _value(table: str, value: Value, width: int) -> list[Part]:
    """Return key, value and origin; the origin stands at the right end where there is room for it."""
    key = value.key.removeprefix(table + ".")
    origin = ORIGIN_WIDTH if width >= KEY_WIDTH + ORIGIN_WIDTH + 16 else 0
    text = pad(value.value, max(width - KEY_WIDTH - origin - 1, 1))
    style = "bold" if value.chosen else ""
    return [
        (f"  {key:<{KEY_WIDTH - 2}}", "$quiet"),
        (text, style),
        (f" {pad(value.origin, origin)}" if origin else "", "$quiet"),
    ]

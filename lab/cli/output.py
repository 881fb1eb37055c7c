"""Printing: JSON for programs, aligned columns for people; progress goes to stderr."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from typing import Any

import typer

from lab.jsonio import dumps
from lab.text import clip, display_width, pad, sanitize

# What JSON lets stand as it is and a terminal would obey or hide, and lone surrogates, which no stream can encode.
_UNPRINTABLE = re.compile("[\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")

LEAST_COLUMN = 8
"""Columns of a terminal that a column of text keeps, however narrow the terminal."""

READABLE_COLUMN = 16
"""What a column of text keeps as long as others can be left out for it."""


def print_json(value: Any) -> None:
    """Print a value as JSON that is safe to look at: control characters stand as escapes, parsers read the same."""
    typer.echo(_UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", dumps(value, indent=2)))


def width() -> int:
    """Return the terminal's columns (or $COLUMNS); a pipe gets room for whole lines."""
    return shutil.get_terminal_size((100 if sys.stdout.isatty() else 160, 24)).columns


def columns(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[int] = (),
    whole: Sequence[int] = (),
    spare: Sequence[int] = (),
) -> str:
    """Return rows as aligned columns under `header`, cleaned; on a narrow terminal the widest are cut, never the first.

    Args:
        right: indices of columns that are aligned right.
        whole: indices of columns that are never cut, beside the first, which names the row.
        spare: indices of columns that are left out, in this order, before others become hard to read; a last line says
            which.
    """
    every = [[sanitize(cell, newlines=False) for cell in row] for row in (header, *rows)]
    widest = {i: max(display_width(row[i]) for row in every) for i in range(len(header))}
    uncut = (0, *whole)
    left_out = []
    for index in spare:
        if _line_width(_fitted(widest, uncut, READABLE_COLUMN)) <= width():
            break
        del widest[index]
        left_out.append(header[index])
    widths = _fitted(widest, uncut, LEAST_COLUMN)
    lines = ("  ".join(pad(row[i], widths[i], right=i in right) for i in widths).rstrip() for row in every)
    told = [f"No room for {', '.join(left_out)}: use a wider terminal, or --json."] if left_out else []
    return "\n".join([*(clip(line, width()) for line in lines), *told])


def _fitted(widths: dict[int, int], uncut: Sequence[int], least: int) -> dict[int, int]:
    """Take from the widest columns what does not fit on the terminal; each keeps `least`, and those in `uncut` all."""
    widths, room = dict(widths), width()
    free = [index for index in widths if index not in uncut]
    while free and _line_width(widths) > room and max(widths[index] for index in free) > least:
        widths[max(free, key=widths.__getitem__)] -= 1
    return widths


def _line_width(widths: dict[int, int]) -> int:
    return sum(widths.values()) + 2 * (len(widths) - 1)


def note(text: str) -> None:
    """Say something beside the result, on stderr, cleaned."""
    typer.echo(sanitize(text), err=True)


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is lost; without a terminal only `--yes` will do."""
    if yes:
        return
    if not sys.stdin.isatty():
        from lab.errors import UsageError

        raise UsageError(question + " There is no terminal to ask on.", "Add --yes.")
    typer.confirm(question, abort=True)

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


def print_json(value: Any) -> None:
    """Print a value as JSON that is safe to look at: control characters stand as escapes, parsers read the same."""
    typer.echo(_UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", dumps(value, indent=2)))


def width() -> int:
    """Return the terminal's columns (or $COLUMNS); a pipe gets room for whole lines."""
    return shutil.get_terminal_size((100 if sys.stdout.isatty() else 160, 24)).columns


def columns(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """Return rows as aligned columns under `header`, cleaned; on a narrow terminal the widest are cut, never the first.

    Args:
        right: indices of columns that are aligned right.
    """
    every = [[sanitize(cell, newlines=False) for cell in row] for row in (header, *rows)]
    widest = [max(display_width(row[i]) for row in every) for i in range(len(header))]
    widths = _fitted(widest, width() - 2 * (len(header) - 1))
    lines = ("  ".join(pad(cell, widths[i], right=i in right) for i, cell in enumerate(row)).rstrip() for row in every)
    return "\n".join(clip(line, width()) for line in lines)


def _fitted(widths: list[int], room: int) -> list[int]:
    """Take from the widest columns what does not fit in `room`; the first, which names the row, stays whole."""
    first, *rest = widths
    while rest and first + sum(rest) > room and max(rest) > LEAST_COLUMN:
        rest[rest.index(max(rest))] -= 1
    return [first, *rest]


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

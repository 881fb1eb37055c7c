"""Printing: JSON for programs, aligned columns for people; progress goes to stderr."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from typing import Any

import typer

from lab.jsonio import dumps
from lab.text import clip, display_width, pad


def print_json(value: Any) -> None:
    typer.echo(dumps(value, indent=2))


def width() -> int:
    """Return the terminal's columns; a pipe gets room for whole lines."""
    return shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 160


def columns(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """Return rows as aligned columns under `header`; the last column is cut to what the terminal leaves.

    Args:
        right: indices of columns that are aligned right.
    """
    every = [header, *rows]
    widths = [max(display_width(row[i]) for row in every) for i in range(len(header))]
    lines = ("  ".join(pad(cell, widths[i], right=i in right) for i, cell in enumerate(row)).rstrip() for row in every)
    return "\n".join(clip(line, width()) for line in lines)


def note(text: str) -> None:
    """Say something beside the result, on stderr."""
    typer.echo(text, err=True)


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is lost; without a terminal only `--yes` will do."""
    if yes:
        return
    if not sys.stdin.isatty():
        from lab.errors import UsageError

        raise UsageError(question + " There is no terminal to ask on.", "Add --yes.")
    typer.confirm(question, abort=True)

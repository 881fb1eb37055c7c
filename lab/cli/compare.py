"""`lab compare` and `lab samples`: one honest table, and the answers side by side."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.options import Json
from lab.cli.output import width

if TYPE_CHECKING:
    from lab.runs.store import RunInfo

Runs = Annotated[list[str], typer.Argument(metavar="RUN...", help="Ids, names, unique parts, or 'latest'.")]


def compare(
    runs: Runs,
    view: Annotated[str, typer.Option("--format", "-f", help="text, md, csv or json.")] = "text",
    floor: Annotated[
        bool, typer.Option("--floor/--no-floor", help="Untuned model, shuffled references and ceiling around them.")
    ] = True,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse what may not be compared.")] = False,
    json: Json = False,
) -> None:
    """Print the table of runs: quality with intervals beside cost, the best marked, unfairness named."""
    from lab.runs.store import find_run

    print_table([find_run(text) for text in runs], floor=floor, strict=strict, view="json" if json else view)


def print_table(
    infos: Sequence[RunInfo],
    *,
    axes: Sequence[str] = (),
    floor: bool = True,
    strict: bool = False,
    view: str = "text",
) -> None:
    """Print the table of `infos` in the order given.

    Args:
        floor: frame them: the untuned model where there is such a run, shuffled references, references themselves.

    Raises:
        UsageError: an unknown format, or with `strict` rows that may not be compared.
    """
    from lab.compare.artifacts import load_entries
    from lab.compare.table import build_table
    from lab.compare.untuned import with_untuned
    from lab.compare.views import render
    from lab.errors import UsageError
    from lab.runs.store import list_runs

    entries = [entry for info in infos for entry in load_entries(info)]
    table = build_table(with_untuned(entries, list_runs(), axes) if floor else entries, axes=axes, floor=floor)
    if strict and table.blocked:
        blocking = next(finding for finding in table.findings if finding.level == "blocking")
        raise UsageError(blocking.sentence, "Evaluate them alike (`lab eval`), or leave out --strict.")
    typer.echo(render(table, view, width=width(), ascii_only=ascii_only()), nl=False)


def ascii_only() -> bool:
    """Tell whether the terminal cannot show characters beyond ASCII."""
    return "utf" not in (sys.stdout.encoding or "").lower() or os.environ.get("TERM") in ("dumb", "linux")


def samples(
    runs: Runs,
    rows: Annotated[int, typer.Option("--rows", "-n", min=0, help="How many; 0 for all.")] = 3,
    sort: Annotated[str, typer.Option("--sort", help="index, disagreement or a metric.")] = "index",
    search: Annotated[str, typer.Option("--search", help="Only rows that hold this text.")] = "",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write to a file.")] = None,
    rate: Annotated[bool, typer.Option("--rate", help="Judge two runs' answers blind, A or B.")] = False,
    ratings: Annotated[bool, typer.Option("--ratings", help="Print what the verdicts amount to.")] = False,
    json: Json = False,
) -> None:
    """Print prompts with the references and each run's answers side by side."""
    from lab.runs.store import find_run

    infos = [find_run(r) for r in runs]
    if rate or ratings:
        from lab.cli import rating

        return rating.rate(infos) if rate else rating.show(infos, json=json)
    text = samples_text(infos, rows=rows, sort=sort, search=search, json=json)
    if out:
        out.write_text(text, encoding="utf-8")
    else:
        typer.echo(text, nl=False)


def samples_text(
    infos: Sequence[RunInfo], *, rows: int = 3, sort: str = "index", search: str = "", json: bool = False
) -> str:
    """Return samples of `infos` as text, or as JSON."""
    from lab.compare.entry import load_entry
    from lab.compare.samples import samples as find_samples
    from lab.compare.views.samples import samples_as_text
    from lab.jsonio import dumps

    entries = [load_entry(info) for info in infos]
    found = find_samples(entries, rows=rows, sort=sort, search=search)
    if json:
        return dumps({"samples": [sample.as_json() for sample in found]}, indent=2) + "\n"
    return samples_as_text(found, entries, width(), ascii_only=ascii_only())

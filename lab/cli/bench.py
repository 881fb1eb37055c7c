"""`lab bench`: figures against baselines, taken here and now."""

from __future__ import annotations

from typing import Annotated

import typer

from lab.cli.options import Json
from lab.cli.output import columns, note, print_json

app = typer.Typer(help="Benchmarks: startup.", no_args_is_help=True)


@app.command()
def startup(
    repeats: Annotated[int, typer.Option("--repeats", "-n", min=1, help="Rounds, each command once.")] = 7,
    json: Json = False,
) -> None:
    """Time how long light commands take to start, against what Python and Typer take themselves."""
    from lab.bench.startup import interpreter, measure

    timings = measure(repeats=repeats, progress=note)
    if json:
        print_json({"interpreter": interpreter(), "repeats": repeats, "cases": [t.as_json() for t in timings]})
        return
    rows = [
        (
            one.name,
            f"{one.median * 1000:.0f} ms",
            f"{one.low * 1000:.0f}-{one.high * 1000:.0f}",
            f"{one.ratio:.2f}",
            "-" if one.target is None else f"{one.target:.1f} {'met' if one.met else 'missed'}",
        )
        for one in timings
    ]
    typer.echo(interpreter())
    typer.echo(columns(("command", "median", "range", "x typer", "at most"), rows, right=(1, 2, 3)))

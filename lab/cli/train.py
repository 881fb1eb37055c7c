"""`lab train`: start runs and follow them, or leave them to themselves."""

from __future__ import annotations

from typing import Annotated

import typer

from lab.cli.chosen import Data, Method, Model, chosen, say_unasked, say_untested
from lab.cli.options import Json, Sets
from lab.cli.output import note, print_json


def train(
    profiles: Annotated[list[str] | None, typer.Argument(metavar="PROFILE...", help="Profiles to run.")] = None,
    sets: Sets = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Start and return at once.")] = False,
    name: Annotated[str, typer.Option("--name", help="A name for the run.")] = "",
    model: Model = "",
    data: Data = "",
    method: Method = "",
    json: Json = False,
) -> None:
    """Train by profile, or by --model, --data and --method alone. Ctrl-C detaches; the run goes on."""
    from lab.cli.follow import follow
    from lab.cli.launch import report_ends, start_all
    from lab.runs.labels import Labels

    resolved = chosen(profiles or [], sets or [], model, data, method)
    say_untested(resolved)
    say_unasked(resolved)
    runs = start_all([(one, Labels(name=name)) for one in resolved])
    if detach:
        if json:
            print_json({"runs": [{"id": run.id} for run in runs]})
        else:
            note(f"Watch with `lab runs watch {runs[-1].id}`, or open the console: `lab`.")
        return
    infos = follow(runs)
    if json:
        print_json({"runs": [info.as_json() for info in infos]})
    report_ends(infos)

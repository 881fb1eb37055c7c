"""`lab train`: start runs and follow them, or leave them to themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.options import Json, Sets
from lab.cli.output import note, print_json

if TYPE_CHECKING:
    from lab.profile.load import Resolved


def train(
    profiles: Annotated[list[str] | None, typer.Argument(metavar="PROFILE...", help="Profiles to run.")] = None,
    sets: Sets = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Start and return at once.")] = False,
    name: Annotated[str, typer.Option("--name", help="A name for the run.")] = "",
    model: Annotated[str, typer.Option("--model", help="Without a profile: hub id or folder.")] = "",
    data: Annotated[str, typer.Option("--data", help="Without a profile: file or hub data set.")] = "",
    method: Annotated[str, typer.Option("--method", help="Without a profile: lora, qlora ...")] = "",
    json: Json = False,
) -> None:
    """Train by profile, or by --model, --data and --method alone. Ctrl-C detaches; the run goes on."""
    from lab.cli.follow import follow
    from lab.cli.launch import report_ends, start_all
    from lab.runs.labels import Labels

    resolved = _resolve(profiles or [], sets or [], model, data, method)
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


def _resolve(profiles: list[str], sets: list[str], model: str, data: str, method: str) -> list[Resolved]:
    from lab.errors import UsageError
    from lab.profile.load import load_profile, resolve

    flags = _flags(model, data, method)
    if profiles:
        return [load_profile(name, [*flags, *sets]) for name in profiles]
    if not data:
        raise UsageError("There is nothing to train on.", "Name a profile (`lab profiles list`), or give --data.")
    return [resolve("command line", {"data": {"source": [{"name": data}]}}, {}, [*flags, *sets])]


def _flags(model: str, data: str, method: str) -> list[str]:
    """Return --model, --data and --method as assignments, for a profile or for none."""
    from lab.jsonio import dumps

    given = {"model.name": model, "data.source.0.name": data, "method.kind": method}
    return [f"{key}={dumps(value)}" for key, value in given.items() if value]

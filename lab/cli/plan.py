"""`lab plan`: what a run would do, without loading weights."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.chosen import Data, Method, Model, chosen, say_unasked, say_untested
from lab.cli.options import Json, Sets
from lab.cli.output import note, print_json, width

if TYPE_CHECKING:
    from lab.profile.schema import Profile


def plan(
    profile: Annotated[str, typer.Argument(metavar="PROFILE", help="Name on the search path, or a .toml file.")] = "",
    sets: Sets = None,
    model: Model = "",
    data: Data = "",
    method: Method = "",
    time: Annotated[bool, typer.Option("--time", help="Load the model, time it for seconds, estimate.")] = False,
    json: Json = False,
) -> None:
    """Dry run: data report, one example with masked tokens dimmed, recipe, steps, memory. Loads no weights."""
    from lab.cli.estimate import estimate_study
    from lab.cli.planview import sections
    from lab.launching.earlier import pin, references
    from lab.runs.lineage import PREVIOUS
    from lab.training.precheck import check

    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it advises on kernels that nobody asked for
    (resolved,) = chosen([profile] if profile else [], sets or [], model, data, method)
    if PREVIOUS not in references(resolved.profile).values():  # which a stage of a study may say
        resolved = pin(resolved)
    check(resolved.profile)  # before the libraries, which take seconds to load
    say_untested([resolved])
    say_unasked([resolved])
    from lab.training.plan import plan as make

    found = make(resolved, note)
    if time and found["data"] and not found["refused"]:
        note("timing the model")
        found["seconds"] = estimate_study([resolved])
    if resolved.profile.launch.kind == "slurm":
        found["sbatch"] = _words(resolved.profile)
    if json:
        print_json(found)
    else:
        typer.echo("\n\n".join(sections(found, width(), dim=_can_dim())))
    if found["unread"] and found["unread"] != found["refused"]:
        note(f"lab: {found['unread']['problem']}\n     {found['unread']['remedy']}")
    if found["refused"]:
        note(f"lab: {found['refused']['problem']}\n     {found['refused']['remedy']}")
        raise typer.Exit(2)


def _words(profile: Profile) -> list[str]:
    """Return what sbatch would be given, for a run whose id is not known yet."""
    from pathlib import Path

    from lab.home import runs_root
    from lab.launching.slurmscript import sbatch_words
    from lab.runs.paths import RunPaths

    return sbatch_words(RunPaths(runs_root() / "ID"), profile, Path.cwd())


def _can_dim() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"

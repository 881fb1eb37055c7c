"""`lab study`: the rows of one table, planned, run and shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lab.cli.options import Json, Scale, Sets
from lab.cli.output import columns, note, print_json

if TYPE_CHECKING:
    from lab.profile.study import Study

app = typer.Typer(help="Studies: list, plan, run, show.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="STUDY", help="Name under studies/, or a .toml file.")]


@app.command("list")
def list_(json: Json = False) -> None:
    """List the studies on the search path."""
    from lab.profile.study import list_studies

    rows = [_described(name) for name in list_studies()]
    if json:
        print_json({"studies": [row["name"] for row in rows], "details": rows})
        return
    shown = [(row["name"], "-" if row["rows"] is None else str(row["rows"]), row["description"]) for row in rows]
    typer.echo(columns(("name", "rows", "description"), shown, right=(1,)))
    note("See the rows of one with `lab study plan NAME`; `--scale small` runs it on the bundled model and data.")


def _described(name: str) -> dict[str, Any]:
    """Return what a list says of a study; a broken file must not hide the others."""
    from lab.errors import LabError
    from lab.profile.study import load_study

    try:
        study = load_study(name)
    except LabError as error:
        return {"name": name, "rows": None, "description": f"broken: {error.problem}"}
    return {"name": name, "rows": len(study.rows), "description": study.description}


@app.command()
def plan(study: Name, sets: Sets = None, scale: Scale = "full", json: Json = False) -> None:
    """Show the rows of a study, checked, and which of them are done. Loads and downloads nothing."""
    from lab.launching.study import done_rows
    from lab.profile.scale import load_scaled
    from lab.text import sanitize

    found = load_scaled(study, sets or (), scale)
    done = done_rows(found)
    rows = [
        {
            "row": row.name,
            "profile": row.resolved.name,
            "method": row.resolved.profile.method.kind,
            "model": row.resolved.profile.model.name,
            "hash": row.resolved.hash,
            "after": row.after or None,
            "done": done[row.name].id if row.name in done else None,
        }
        for row in found.rows
    ]
    if json:
        print_json({"study": found.name, "axes": list(found.axes), "rows": rows})
        return
    typer.echo(sanitize(found.description))
    header = ("row", "method", "profile", "model", "done")
    typer.echo(columns(header, [tuple(str(r[key] or "-") for key in header) for r in rows]))


@app.command()
def run(
    study: Name,
    sets: Sets = None,
    scale: Scale = "full",
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Start and return at once.")] = False,
    json: Json = False,
) -> None:
    """Run what is missing of a study; rows that are done are kept. Ends on the table."""
    from lab.cli.follow import follow
    from lab.cli.launch import report_ends
    from lab.launching.study import retry_failed, start_missing, study_command
    from lab.profile.scale import load_scaled
    from lab.runs.store import read_run

    found = load_scaled(study, sets or (), scale)
    started = start_missing(found, say=note)
    if detach:
        if json:
            print_json({"runs": [{"id": info.id} for info in started]})
        return
    infos = follow([info.run for info in started])
    if again := retry_failed(infos, note):
        follow([info.run for info in again])
        infos = [info for one in started if (info := read_run(one.run)) is not None]
    try:
        show_table(found, study_command("run", study, sets or (), scale), json=json)
    finally:  # where every row failed there is no table, and the reasons are the answer
        report_ends(infos)


@app.command()
def show(study: Name, sets: Sets = None, scale: Scale = "full", json: Json = False) -> None:
    """Print the table of a study from the runs that are there."""
    from lab.launching.study import study_command
    from lab.profile.scale import load_scaled

    found = load_scaled(study, sets or (), scale)
    show_table(found, study_command("run", study, sets or (), scale), json=json)


def show_table(study: Study, command: str, *, json: bool) -> None:
    """Print the study's table, its rows in the study's order, floor and ceiling beneath.

    Args:
        command: the line that runs it, for where nothing is done.
    """
    from lab.cli.compare import print_table
    from lab.launching.study import done_rows, none_done

    done = done_rows(study)
    rows = [done[row.name] for row in study.rows if row.name in done]
    if not rows:
        raise none_done(study, command)
    print_table(rows, axes=study.axes, floor=True, view="json" if json else "text")

"""`lab study`: the rows of one table, planned, run and shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.options import Json, Sets
from lab.cli.output import columns, note, print_json

if TYPE_CHECKING:
    from lab.profile.study import Study
    from lab.runs.store import RunInfo

app = typer.Typer(help="Studies: list, plan, run, show.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="STUDY", help="Name under studies/, or a .toml file.")]


@app.command("list")
def list_(json: Json = False) -> None:
    """List the studies on the search path."""
    from lab.profile.study import list_studies

    names = list_studies()
    if json:
        print_json({"studies": names})
    else:
        typer.echo("\n".join(names))


@app.command()
def plan(study: Name, sets: Sets = None, json: Json = False) -> None:
    """Show the rows of a study, checked, and which of them are done. Loads and downloads nothing."""
    from lab.profile.study import load_study
    from lab.text import sanitize

    found = load_study(study, tuple(sets or ()))
    done = done_rows(found)
    rows = [
        {
            "row": row.name,
            "profile": row.resolved.name,
            "method": row.resolved.profile.method.kind,
            "model": row.resolved.profile.model.name,
            "hash": row.resolved.hash,
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
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Start and return at once.")] = False,
    json: Json = False,
) -> None:
    """Run what is missing of a study; rows that are done are kept. Ends on the table."""
    from lab.cli.follow import follow
    from lab.cli.launch import report_ends
    from lab.profile.study import load_study

    found = load_study(study, tuple(sets or ()))
    started = start_missing(found)
    if detach:
        if json:
            print_json({"runs": [{"id": info.id} for info in started]})
        return
    infos = follow([info.run for info in started])
    show_table(found, json=json)
    report_ends(infos)


@app.command()
def show(study: Name, sets: Sets = None, json: Json = False) -> None:
    """Print the table of a study from the runs that are there."""
    from lab.profile.study import load_study

    show_table(load_study(study, tuple(sets or ())), json=json)


def done_rows(study: Study) -> dict[str, RunInfo]:
    """Return row name -> the run that did exactly this work, the newest where there are several."""
    return _matching(study, ("completed",))


def _matching(study: Study, states: tuple[str, ...]) -> dict[str, RunInfo]:
    from lab.runs.store import list_runs

    runs = [info for info in list_runs() if info.state in states and info.labels.study == study.name]
    found: dict[str, RunInfo] = {}
    for row in study.rows:
        hits = [i for i in runs if i.labels.row == row.name and i.record.get("profile_hash") == row.resolved.hash]
        if hits:
            found[row.name] = hits[0]
    return found


def start_missing(study: Study, *, fresh: bool = False) -> list[RunInfo]:
    """Start each row that is neither done nor under way; resume those that were stopped, lost or failed.

    Args:
        fresh: start every row anew that is not under way.

    Returns:
        The runs under way, in the order of the rows.
    """
    from lab.cli.launch import check_before_start
    from lab.launching.local import start
    from lab.launching.resume import resume
    from lab.runs.labels import Labels
    from lab.runs.state import LIVE, RESUMABLE
    from lab.runs.store import read_run

    done = {} if fresh else done_rows(study)
    live, broken = _matching(study, LIVE), {} if fresh else _matching(study, RESUMABLE)
    missing = [row for row in study.rows if row.name not in done]
    for row in missing:
        check_before_start(row.resolved)
    under_way = []
    for row in missing:
        if row.name in live:
            run = live[row.name].run
        elif row.name in broken:
            run = broken[row.name].run
            note(f"{row.name}: {run.id}, {resume(broken[row.name]).line}")
        else:
            run = start(row.resolved, labels=Labels(study=study.name, row=row.name))
            note(f"{row.name}: {run.id}")
        info = read_run(run)
        if info is not None:
            under_way.append(info)
    for row in study.rows:
        if row.name in done:
            note(f"{row.name}: done already ({done[row.name].id})")
    return under_way


def show_table(study: Study, *, json: bool) -> None:
    """Print the study's table, its rows in the study's order, floor and ceiling beneath."""
    from lab.cli.compare import print_table
    from lab.errors import NotFoundError

    done = done_rows(study)
    rows = [done[row.name] for row in study.rows if row.name in done]
    if not rows:
        raise NotFoundError(f"No row of study {study.name} is done.", f"Run it: `lab study run {study.name}`.")
    print_table(rows, axes=study.axes, floor=True, view="json" if json else "text")

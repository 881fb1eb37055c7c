"""`lab runs`: what there is, what it does, and what can be done with it."""

from __future__ import annotations

from typing import Annotated

import typer

from lab.cli import deletion
from lab.cli.options import Json, Query, Run, Sets
from lab.cli.output import columns, note, print_json, width

WIDE = 120
"""Columns of a terminal from which on whole ids leave room for the rest of the list."""

app = typer.Typer(help="Runs: list, show, watch, logs, stop, resume, label, rm, prune, diff.", no_args_is_help=True)


@app.command("list")
def list_(
    query: Query = "",
    archived: Annotated[bool, typer.Option("--archived", help="Archived runs too.")] = False,
    json: Json = False,
) -> None:
    """List runs, the newest first."""
    from lab.cli.runview import nothing, row
    from lab.compare.filters import parse_query
    from lab.runs.store import list_runs, short_ids

    keep = parse_query(query)
    every = list_runs()
    infos = [info for info in every if (archived or not info.labels.archived) and keep(info)]
    if json:
        print_json({"runs": [info.as_json() for info in infos]})
        return
    if not infos:
        note(nothing(len(every), query))
        return
    ids = {info.id: info.id for info in every} if width() >= WIDE else short_ids(info.id for info in every)
    header = ("id", "state", "step", "loss", "method", "study", "row", "name")
    lines = [(ids[info.id], *row(info)) for info in infos]
    typer.echo(columns(header, lines, right=(2, 3), whole=(1, 2, 3), spare=(5, 4, 2, 3)))


@app.command()
def show(run: Run, json: Json = False) -> None:
    """Show one run: state, progress, profile, labels, results, files."""
    from lab.cli.runview import facts
    from lab.runs.store import find_run, folder_bytes

    info = find_run(run)
    if json:
        sizes = {"bytes": folder_bytes(info.run.folder), "checkpoint_bytes": folder_bytes(info.run.checkpoints)}
        print_json({**info.as_json(), **sizes})
        return
    typer.echo("\n".join(facts(info)))


@app.command()
def watch(run: Annotated[str, typer.Argument(metavar="RUN")] = "latest", json: Json = False) -> None:
    """Follow a run until it ends. Ctrl-C stops looking, not the run."""
    from lab.cli.follow import follow
    from lab.cli.launch import report_ends
    from lab.runs.store import find_run

    infos = follow([find_run(run).run])
    if json:
        print_json({"runs": [info.as_json() for info in infos]})
    report_ends(infos)


@app.command()
def logs(
    run: Annotated[str, typer.Argument(metavar="RUN")] = "latest",
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="The last lines; 0 for all.")] = 50,
    json: Json = False,
) -> None:
    """Print the end of a run's worker.log, cleaned."""
    from lab.runs.store import find_run
    from lab.text import sanitize

    path = find_run(run).run.log
    text = sanitize(path.read_text(encoding="utf-8", errors="replace")) if path.is_file() else ""
    shown = text.splitlines()[-lines or None :]
    if json:
        print_json({"lines": shown})
    else:
        typer.echo("\n".join(shown))


@app.command()
def stop(
    run: Run,
    force: Annotated[bool, typer.Option("--force", help="Signals, if it does not end when asked.")] = False,
    wait: Annotated[float, typer.Option("--wait", min=0.0, help="Seconds to finish the step and save.")] = 30.0,
    json: Json = False,
) -> None:
    """Ask a run to finish its step, save and end."""
    from lab.launching import stop as ladder
    from lab.runs.store import find_run

    done = ladder.stop(find_run(run), who="lab runs stop", wait=wait, force=force, progress=note)
    if json:
        print_json({"id": done.run.id, "rung": done.rung, "ended": done.ended, "state": done.state})
    else:
        typer.echo(done.line)
    if not done.ended:
        note(f"End it with `lab runs stop --force {done.run.id}`.")
        raise typer.Exit(1)


@app.command()
def resume(
    run: Run,
    sets: Sets = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Start and return at once.")] = False,
    json: Json = False,
) -> None:
    """Go on with a stopped, failed or lost run from its newest checkpoint; --set may raise epochs and steps."""
    from lab.cli.follow import follow
    from lab.cli.launch import report_ends
    from lab.launching.resume import resume as go_on
    from lab.runs.store import find_run

    resumed = go_on(find_run(run), sets or [])
    note(f"{resumed.run.id}: {resumed.line}")
    if detach:
        if json:
            print_json({"id": resumed.run.id, "attempt": resumed.attempt})
        return
    infos = follow([resumed.run])
    if json:
        print_json({"runs": [info.as_json() for info in infos]})
    report_ends(infos)


@app.command()
def label(
    run: Run,
    name: Annotated[str | None, typer.Option("--name", help="A name; empty removes it.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Add a tag.")] = None,
    untag: Annotated[list[str] | None, typer.Option("--untag", help="Remove a tag.")] = None,
    notes: Annotated[str | None, typer.Option("--notes", help="Replace the notes.")] = None,
    archive: Annotated[bool | None, typer.Option("--archive/--unarchive", help="Hide from lists, or show.")] = None,
    json: Json = False,
) -> None:
    """Name, tag, annotate or archive a run."""
    from dataclasses import asdict, replace

    from lab.runs.labels import read_labels, write_labels
    from lab.runs.store import find_run
    from lab.text import sanitize

    info = find_run(run)
    old = read_labels(info.run)
    added = (sanitize(one, newlines=False).strip() for one in tag or ())
    tags = tuple(dict.fromkeys(one for one in (*old.tags, *added) if one not in (untag or ())))
    labels = replace(
        old,
        tags=tags,
        name=old.name if name is None else sanitize(name, newlines=False).strip(),
        notes=old.notes if notes is None else sanitize(notes),
        archived=old.archived if archive is None else archive,
    )
    write_labels(info.run, labels)
    if json:
        print_json(asdict(labels))


app.command()(deletion.rm)
app.command()(deletion.prune)


@app.command()
def diff(first: Run, second: Run, json: Json = False) -> None:
    """Show how two runs differ: profile, data, environment, each difference with its class of fairness."""
    from lab.compare.diff import run_diff
    from lab.jsonio import dumps
    from lab.runs.store import find_run, list_runs, short_ids

    one, other = find_run(first), find_run(second)
    found = run_diff(one, other)
    if json:
        print_json({"runs": [one.id, other.id], "differences": [entry.as_json() for entry in found]})
        return
    if not found:
        typer.echo("They do not differ.")
        return
    short = short_ids({one.id, other.id, *(info.id for info in list_runs())})
    heads = (f"{short[info.id]} {info.labels.name or info.labels.row}".rstrip() for info in (one, other))
    rows = [(entry.key, dumps(entry.first), dumps(entry.second), entry.level) for entry in found]
    typer.echo(columns(("key", *heads, "class"), rows))

"""`lab runs`: what there is, what it does, and what can be done with it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli import deletion
from lab.cli.options import Json, Query, Run, Sets
from lab.cli.output import columns, note, print_json

if TYPE_CHECKING:
    from lab.runs.store import RunInfo

app = typer.Typer(help="Runs: list, show, watch, logs, stop, resume, label, rm, prune, diff.", no_args_is_help=True)


@app.command("list")
def list_(
    query: Query = "",
    archived: Annotated[bool, typer.Option("--archived", help="Archived runs too.")] = False,
    json: Json = False,
) -> None:
    """List runs, the newest first."""
    from lab.compare.filters import parse_query
    from lab.runs.store import list_runs

    keep = parse_query(query)
    infos = [info for info in list_runs() if (archived or not info.labels.archived) and keep(info)]
    if json:
        print_json({"runs": [info.as_json() for info in infos]})
        return
    if not infos:
        note("There are no runs" + (" that fit." if query else ". Start one: `lab demo --quick`."))
        return
    header = ("id", "state", "step", "loss", "method", "study", "name")
    typer.echo(columns(header, [_row(info) for info in infos], right=(2, 3)))


def _row(info: RunInfo) -> tuple[str, ...]:
    from lab.jsonio import as_float
    from lab.text import number

    total = info.record.get("total_steps")
    step = f"{info.record.get('step', 0)}/{total}" if total else "-"
    loss = number(as_float(info.summary.get("last_loss")))
    study = "/".join(part for part in (info.labels.study, info.labels.row) if part)
    return (info.id, info.state, step, loss, info.text("method"), study or "-", info.labels.name or "-")


@app.command()
def show(run: Run, json: Json = False) -> None:
    """Show one run: state, progress, profile, results, files."""
    from lab.runs.store import find_run

    info = find_run(run)
    if json:
        print_json(info.as_json())
        return
    typer.echo("\n".join(_facts(info)))


def _facts(info: RunInfo) -> list[str]:
    from lab.jsonio import as_float
    from lab.launching.stop import usable_weights
    from lab.text import byte_size, duration, number, sanitize

    cost = {key: as_float(value) for key, value in (info.summary.get("cost") or {}).items()}
    metrics = {key: as_float(value) for key, value in (info.summary.get("metrics") or {}).items()}
    weights = usable_weights(info.run)
    facts = {
        "state": f"{info.state}  {info.detail}".rstrip(),
        "profile": f"{info.text('profile')} ({info.text('method')})",
        "model": info.text("model"),
        "created": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(as_float(info.record.get("created")) or 0)),
        "device": info.text("device") or "-",
        "steps": f"{info.record.get('step', 0)} of {info.record.get('total_steps') or '-'}, "
        f"attempt {info.record.get('attempt', 1)}",
        "metrics": "  ".join(f"{key} {number(value)}" for key, value in metrics.items()) or "-",
        "training": f"{duration(cost.get('train_seconds'))}  peak {byte_size(cost.get('peak_memory_bytes'))}"
        f"  energy {number(cost.get('energy_wh'), 2)} Wh",
        "weights": str(weights) if weights else "-",
        "folder": str(info.run.folder),
    }
    end = info.record.get("end") or {}
    if end.get("remedy"):
        facts["remedy"] = str(end["remedy"])
    return [info.id, *(f"  {key:<9} {sanitize(value, newlines=False)}" for key, value in facts.items())]


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
    from lab.runs.store import find_run

    one, other = find_run(first), find_run(second)
    found = run_diff(one, other)
    if json:
        print_json({"runs": [one.id, other.id], "differences": [entry.as_json() for entry in found]})
        return
    rows = [(entry.key, dumps(entry.first), dumps(entry.second), entry.level) for entry in found]
    typer.echo(columns(("key", one.id, other.id, "class"), rows) if rows else "They do not differ.")

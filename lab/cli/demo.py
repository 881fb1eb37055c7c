"""`lab demo`: the whole story on the bundled model: three runs, their table, three answers side by side."""

from __future__ import annotations

from typing import Annotated

import typer

from lab.cli.options import Json
from lab.cli.output import note

QUICK = (
    "data.source.0.train=120",
    "data.source.0.validation=0",
    "train.examples_per_step=2",
    "train.learning_rate=2e-3",
    "evaluate.rows=40",
)


def demo(
    quick: Annotated[bool, typer.Option("--quick", help="Fewer rows: minutes less, a coarser table.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Run again what is done already.")] = False,
    json: Json = False,
) -> None:
    """Tune the bundled model on help-desk messages with LoRA and QLoRA, and compare. Nothing leaves the machine."""
    from lab.cli.compare import samples_text
    from lab.cli.estimate import about, estimate_study
    from lab.cli.follow import follow
    from lab.cli.launch import report_ends
    from lab.cli.study import show_table
    from lab.launching.study import done_rows, retry_failed, start_missing
    from lab.profile.study import load_study

    study = load_study("demo", QUICK if quick else ())
    note(study.description)
    missing = [row for row in study.rows if fresh or row.name not in done_rows(study)]
    if missing and not quick:  # timing takes as long as several of the quick demo's steps
        note("Timing this machine (a few seconds, and the time to load) ...")
        seconds = estimate_study([row.resolved for row in missing])
        if seconds is not None:
            note(f"The demo will take {about(seconds)} here.")
    if missing:
        note("Ctrl-C detaches; the work goes on.")
    infos = follow([info.run for info in start_missing(study, fresh=fresh, say=note)])
    again = {info.id: info for info in follow([info.run for info in retry_failed(infos, note)])}
    report_ends([again.get(info.id, info) for info in infos])
    show_table(study, "lab demo --quick" if quick else "lab demo", json=json)
    if not json:
        done = done_rows(study)
        typer.echo("\n" + samples_text([done[row.name] for row in study.rows]), nl=False)
        note("Next: `lab` opens the console, `lab study list` and `lab profiles list --all` show what else can run.")

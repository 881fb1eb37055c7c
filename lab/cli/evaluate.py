"""`lab eval`: answer and score again, as a job of the run that never changes how its training ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.options import Json, Sets
from lab.cli.output import note, print_json

if TYPE_CHECKING:
    from lab.runs.store import RunInfo


def evaluate(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Ids, names, unique parts, or 'latest'.")],
    sets: Sets = None,
    rescore: Annotated[bool, typer.Option("--rescore", help="Score the answers that are there; no model.")] = False,
    json: Json = False,
) -> None:
    """Evaluate runs: answers of the same spec are reused, missing ones generated. --set evaluate.rows=0 takes all."""
    from lab.cli.compare import print_table
    from lab.cli.follow import follow
    from lab.cli.launch import report_ends
    from lab.launching.jobs import check_evaluation, start_evaluation
    from lab.runs.store import find_run

    infos = [find_run(text) for text in runs]
    if rescore:
        for info in infos:
            _rescore(info)
    else:
        for info in infos:
            check_evaluation(info, sets or [])
        jobs = [start_evaluation(info, sets or []) for info in infos]
        report_ends(follow(jobs))
    if json:
        print_json({"runs": [info.id for info in infos]})
    else:
        print_table(infos)


def _rescore(info: RunInfo) -> None:
    """Compute `metrics.json` of each answered evaluation anew from its answers; the cost of answering stays."""
    from lab.compare.rescore import answered_evaluations, rescore
    from lab.errors import NotFoundError

    answered = answered_evaluations(info.run)
    if not answered:
        raise NotFoundError(f"{info.id} has no answers to score.", f"Generate them: `lab eval {info.id}`.")
    for paths in answered:
        note(f"{info.id}: scored {rescore(info.run, paths)} answers again")

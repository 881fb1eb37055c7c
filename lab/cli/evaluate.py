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
    from lab.launching.jobs import start_evaluation
    from lab.runs.store import find_run

    infos = [find_run(text) for text in runs]
    if rescore:
        for info in infos:
            _rescore(info)
    else:
        jobs = [start_evaluation(info, sets or []) for info in infos]
        report_ends(follow(jobs))
    if json:
        print_json({"runs": [info.id for info in infos]})
    else:
        print_table(infos)


def _rescore(info: RunInfo) -> None:
    """Compute `metrics.json` of each finished evaluation anew from its answers; the cost of answering stays."""
    from lab import atomic
    from lab.errors import NotFoundError
    from lab.profile.load import load_profile
    from lab.runs.paths import evaluations
    from lab.runs.reader import read_all, read_json
    from lab.scoring.answers import answers_from_rows
    from lab.scoring.score import score

    done = [(paths, answers_from_rows(read_all(paths.generations))) for paths in evaluations(info.run)]
    if not done or not all(answers for _, answers in done):
        raise NotFoundError(f"{info.id} has no answers to score.", f"Generate them: `lab eval {info.id}`.")
    for paths, answers in done:
        old = read_json(paths.metrics) or {}
        names = [*old.get("metrics", {}), *old.get("absent", {})]
        fresh = score(answers, names or load_profile(str(info.run.profile)).profile.evaluate.metric_names)
        atomic.write_json(paths.metrics, {**fresh, "cost": old.get("cost")})
        note(f"{info.id}: scored {fresh['rows']} answers again")

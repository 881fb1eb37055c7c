"""`lab judge`: how often a judge prefers a run's answers to the references or to another run's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lab.cli.options import Json, Run
from lab.cli.output import columns, note, print_json

if TYPE_CHECKING:
    from lab.runs.store import RunInfo


def judge(
    run: Run,
    by: Annotated[str, typer.Option("--judge", metavar="JUDGE", help="openai:URL#MODEL, model:ID or human.")],
    against: Annotated[str, typer.Option("--against", help="reference, or another run.")] = "reference",
    task: Annotated[str, typer.Option("--task", help="Whose answers: test, or a task of the profile.")] = "test",
    json: Json = False,
) -> None:
    """Judge answers in pairs, each in both orders; the win rate with its interval joins the run's metrics."""
    from lab.runs.store import find_run

    info = find_run(run)
    metrics, remark = _by_people(info, against, task) if by == "human" else _by_judge(info, by, against, task)
    if json:
        print_json({"run": info.id, "task": task, "metrics": metrics})
        return
    rows = [(name, *map(_share, (m["value"], m["low"], m["high"])), m["signature"]) for name, m in metrics.items()]
    typer.echo(columns(("metric", "value", "low", "high", "signature"), rows, right=(1, 2, 3)))
    note(remark)


def _by_judge(info: RunInfo, by: str, against: str, task: str) -> tuple[dict[str, Any], str]:
    from lab.evaluation.judging.pairs import (
        REFERENCE,
        answers_of_run,
        find_judge,
        judged_evaluation,
        references,
    )
    from lab.evaluation.judging.pairs import judge as ask
    from lab.runs.store import find_run

    judge_ = find_judge(by)
    paths = judged_evaluation(info.run, task)
    other = references(paths) if against == REFERENCE else answers_of_run(find_run(against).run, task)
    found = ask(paths, other, judge_, note)
    remark = f"{found.rows} rows; {found.same} with equal answers, a tie; {found.unclear} replies named no answer."
    return found.metrics, remark


def _by_people(info: RunInfo, against: str, task: str) -> tuple[dict[str, Any], str]:
    """Return the win rate of the verdicts that `lab samples A B --rate` wrote."""
    from lab.compare.entry import load_entry
    from lab.compare.rating import begin, summary
    from lab.errors import DataError, UsageError
    from lab.evaluation.judging.pairs import REFERENCE, judged_evaluation, write_rates
    from lab.runs.store import find_run

    if against == REFERENCE or task != "test":
        raise UsageError("People rate two runs' answers to the test rows.", "Name the other run with --against.")
    other = find_run(against)
    found = summary(begin(load_entry(info), load_entry(other), (info.run, other.run)), info.id)
    if found.rate is None:
        raise DataError("Nobody has rated these two runs.", f"Rate them: `lab samples {info.id} {other.id} --rate`.")
    rows = found.wins + found.losses + found.ties
    signature = f"judge:human|blind|against:{other.id}|ties:half|interval:wilson|version:1"
    record = {"value": found.rate, "low": found.low, "high": found.high, "signature": signature, "rows": rows}
    write_rates(judged_evaluation(info.run, task), {"win_rate": record})
    return {"win_rate": record}, f"{rows} rows; {found.skipped} skipped, {found.left} not rated yet."


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"

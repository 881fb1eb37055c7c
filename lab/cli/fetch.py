"""`lab fetch`: models and data beforehand, for machines that train without a network."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lab.cli.options import Json, Sets
from lab.cli.output import note, print_json

if TYPE_CHECKING:
    from lab.profile.load import Resolved


def fetch(
    profiles: Annotated[list[str], typer.Argument(metavar="PROFILE...", help="Profiles whose needs are fetched.")],
    sets: Sets = None,
    json: Json = False,
) -> None:
    """Download the models and data of profiles; what is there already stays, a broken download goes on."""
    from lab.cli.launch import check_before_start
    from lab.profile.load import load_profile

    if not sys.stderr.isatty():  # bars that nobody watches fill logs; read when the libraries are imported
        os.environ |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
    resolved = [load_profile(name, sets or []) for name in profiles]
    for one in resolved:
        check_before_start(one)
    found = [_fetch_one(one) for one in resolved]
    if json:
        print_json({"fetched": found})
        return
    for record in found:
        typer.echo("\n".join(_lines(record)))


def _fetch_one(resolved: Resolved) -> dict[str, Any]:
    """Fetch what one profile needs, telling each step on stderr."""
    from lab.data.fetch import fetch_data
    from lab.modeling.fetch import fetch_model
    from lab.modeling.source import resolve_model
    from lab.text import sanitize

    def say(line: str) -> None:
        note(f"{resolved.name}: {line}")

    model = resolved.profile.model
    say(f"model {sanitize(model.name, newlines=False)}")
    source = resolve_model(model.name, model.revision, say)
    folder = fetch_model(source, code=model.trust_remote_code, progress=say)
    say("data " + ", ".join(sanitize(one.name, newlines=False) for one in resolved.profile.data.source))
    data = fetch_data(resolved.profile.data)
    if resolved.profile.evaluate.task:
        from lab.evaluation.tasks.rows import task_rows

        for number, task in enumerate(resolved.profile.evaluate.task):
            say(f"task {task.name}: {len(task_rows(number, task)[0]):,} rows")
    if "bertscore" in resolved.profile.evaluate.metric_names:
        from lab.evaluation.encoder import fetch_encoder

        say(f"BERTScore's model {sanitize(resolved.profile.evaluate.bertscore_model, newlines=False)}")
        fetch_encoder(resolved.profile.evaluate.bertscore_model, say)
    about = {"name": source.label, "kind": source.kind, "path": str(folder), "commit": source.commit}
    return {"profile": resolved.name, "model": about, "data": data}


def _lines(record: dict[str, Any]) -> list[str]:
    model = record["model"]
    lines = [record["profile"], f"  model  {model['name']}", f"         {model['path']}"]
    return [*lines, *(f"  data   {data['name']}, {data['rows']:,} rows" for data in record["data"])]

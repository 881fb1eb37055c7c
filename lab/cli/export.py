"""`lab export`: a run's weights as files that others load, each checked against the run; model card and hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lab.cli.options import Json, Run, Yes
from lab.cli.output import columns, note, print_json

if TYPE_CHECKING:
    from lab.launching.exports import ExportRequest
    from lab.runs.store import RunInfo

app = typer.Typer(help="Export a run: merge, gguf, card, hub.", no_args_is_help=True)

Out = Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="A folder that does not exist yet.")]
Base = Annotated[str, typer.Option("--base", help="QLoRA: 'full' or 'dequantised' (what it trained over: auto).")]
Score = Annotated[bool, typer.Option("--score/--no-score", help="Answer the test rows: a row in `lab compare`.")]


@app.command()
def merge(
    run: Run,
    out: Out,
    dtype: Annotated[str, typer.Option("--dtype", help="bf16 or fp32.")] = "bf16",
    base: Base = "auto",
    shard: Annotated[float, typer.Option("--shard-gb", min=0.001, help="Largest file, in GB.")] = 4.0,
    score: Score = True,
    json: Json = False,
) -> None:
    """Fold what was trained into the base: one safetensors model, held against the run before it is kept."""
    from lab.launching.exports import ExportRequest

    request = ExportRequest("merge", out.absolute(), (), base, dtype, int(shard * 1e9), score)
    _export(run, request, {"bf16": 16.0, "fp32": 32.0}[dtype], json=json)


@app.command()
def gguf(
    run: Run,
    out: Out,
    kinds: Annotated[str, typer.Option("--type", "-t", help="f16, q8_0, q4_k_m ..., adapter.")] = "f16,q8_0,q4_k_m",
    base: Base = "auto",
    score: Score = True,
    json: Json = False,
) -> None:
    """Write GGUF files for llama.cpp and Ollama: converted, quantised, checked, scored like the run."""
    from lab.exporting.llamacpp import MISSING, installed
    from lab.launching.exports import K_QUANTS, ExportRequest, parse_types

    types = parse_types(kinds)
    if not installed():
        if any(kind in K_QUANTS for kind in types):
            raise MISSING
        note("llama.cpp is not installed, so the files are neither checked nor scored: pip install 'lora-lab[gguf]'")
    request = ExportRequest("gguf", out.absolute(), types, base, score=score)
    _export(run, request, 16.0 * sum(kind != "adapter" for kind in types), json=json)


@app.command()
def card(
    run: Run,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write to a file.")] = None,
) -> None:
    """Print the model card of an evaluated run: data, settings, results with intervals, energy, how to load."""
    from lab.exporting.card import model_card
    from lab.runs.store import find_run

    info = find_run(run)
    _check_results(info)
    text = model_card(info, "adapter")
    if out:
        out.write_text(text, encoding="utf-8")
    else:
        typer.echo(text, nl=False)


@app.command()
def hub(
    run: Run,
    repo: Annotated[str, typer.Option("--repo", metavar="USER/NAME", help="Where to.")],
    what: Annotated[str, typer.Option("--what", help="adapter, merged or gguf.")] = "adapter",
    private: Annotated[bool, typer.Option("--private", help="Only for yourself.")] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Show what would be uploaded; with --yes upload it with its model card, in one commit."""
    from lab.exporting.hub import plan_upload, upload
    from lab.runs.store import find_run

    plan = plan_upload(find_run(run), repo, what, private=private)
    if json:
        print_json({**plan.as_json(), "uploaded": upload(plan, note) if yes else None})
        return
    if yes:
        typer.echo(f"Uploaded: {upload(plan, note)}")
        return
    typer.echo(plan.describe())
    note("Nothing was uploaded. Add --yes to do it.")


def _check_results(info: RunInfo) -> None:
    """Refuse a run of which a card could tell no results.

    Raises:
        RunStateError: it is worked on, has no whole weights, or has them and was never scored.
    """
    from lab.compare.entry import scored_metrics
    from lab.errors import RunStateError
    from lab.launching.exports import check_exportable
    from lab.runs.paths import evaluations
    from lab.runs.reader import read_json

    if any(scored_metrics(read_json(one.metrics) or {}) for one in evaluations(info.run)):
        return
    check_exportable(info)
    splits = (read_json(info.run.data) or {}).get("splits") or {}
    command = f"lab eval {info.id}"
    if not (splits.get("test") or {}).get("rows"):  # then `lab eval` alone would find nothing to answer
        command += """ --set 'evaluate.task=[{name = "squad"}]'"""
    raise RunStateError(f"{info.id} has no results to tell in a card.", f"Evaluate it: `{command}`.")


def _export(run: str, request: ExportRequest, bits: float, *, json: bool) -> None:
    from lab.cli.follow import follow
    from lab.cli.launch import report_ends
    from lab.exporting.staging import check_room, check_target
    from lab.launching.exports import check_exportable, start_export
    from lab.runs.reader import read_json
    from lab.runs.store import find_run

    info = find_run(run)
    check_exportable(info)
    check_target(request.target)
    parameters = (info.record.get("facts") or {}).get("parameters") or 0
    check_room(request.target, int(parameters * bits / 8))
    job = start_export(info, request)
    note(f"Started {job.id}")
    report_ends(follow([job]))
    record = read_json(job.result) or {}
    if json:
        print_json(record)
    elif record:
        _show(info, record)


def _show(info: RunInfo, record: dict[str, Any]) -> None:
    """Print what was made, how far it agrees with the run, and the run's table with it."""
    from lab.cli.compare import print_table
    from lab.compare.artifacts import load_entries
    from lab.exporting.words import file_rows, parity_lines

    typer.echo(columns(("file", "size", "tensors"), file_rows(record), right=(1,)))
    for line in parity_lines(record):
        typer.echo(line)
    typer.echo(f"In {record['target']}")
    if len(load_entries(info)) > 1:
        typer.echo("")
        print_table([info], floor=False)

"""`lab bench`: figures against baselines, taken here and now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from lab.cli.options import Json, Run, Sets
from lab.cli.output import columns, note, print_json

Shape = Annotated[str, typer.Option("--shape", help="Shape of the model; its weights are random.")]
Method = Annotated[str, typer.Option("--method", help="lora, qlora or full.")]
Workload = Annotated[
    str, typer.Option("--workload", help="A step: w16, 16 rows; w16x512, of 512 tokens each; w16k, 16,384 tokens.")
]

app = typer.Typer(help="Benchmarks, each against a baseline in the same run.", no_args_is_help=True)


@app.command()
def startup(
    repeats: Annotated[int, typer.Option("--repeats", "-n", min=1, help="Rounds, each command once.")] = 7,
    json: Json = False,
) -> None:
    """Time how long light commands take to start, against what Python and Typer take themselves."""
    from lab.bench.startup import interpreter, measure

    timings = measure(repeats=repeats, progress=note)
    if json:
        print_json({"interpreter": interpreter(), "repeats": repeats, "cases": [t.as_json() for t in timings]})
        return
    rows = [
        (
            one.name,
            f"{one.median * 1000:.0f} ms",
            f"{one.low * 1000:.0f}-{one.high * 1000:.0f}",
            f"{one.ratio:.2f}",
            "-" if one.target is None else f"{one.target:.1f} {'met' if one.met else 'missed'}",
        )
        for one in timings
    ]
    typer.echo(interpreter())
    typer.echo(columns(("command", "median", "range", "x typer", "at most"), rows, right=(1, 2, 3)))


@app.command()
def console(
    events: Annotated[int, typer.Option("--events", min=1000, help="Step events of the long run.")] = 1_000_000,
    json: Json = False,
) -> None:
    """Measure the console in a pseudo-terminal: first paint, bytes, processor, a very long run."""
    from lab.bench.console import measure

    figures = measure(events, note)
    if json:
        print_json({"events": events, "figures": [figure.as_json() for figure in figures]})
        return
    rows = [
        (f.name, f"{f.value:.2f} {f.unit}", "-" if f.target is None else f"{f.target:g} {'met' if f.met else 'missed'}")
        for f in figures
    ]
    typer.echo(columns(("what", "measured", "at most"), rows, right=(1,)))


@app.command()
def scoring(
    rows: Annotated[int, typer.Option("--rows", min=2, help="Answers.")] = 10_000,
    words: Annotated[int, typer.Option("--words", min=1, help="Words an answer.")] = 120,
    json: Json = False,
) -> None:
    """Time all lexical metrics with their intervals over many made-up answers."""
    from lab.bench.scoring import measure

    figures = measure(rows, words, note)
    if json:
        print_json({"rows": rows, "words": words, "figures": [figure.as_json() for figure in figures]})
        return
    lines = [
        (f.name, f"{f.seconds:.2f} s", "-" if f.target is None else f"{f.target:g} s {'met' if f.met else 'missed'}")
        for f in figures
    ]
    typer.echo(columns(("part", "took", "at most"), lines, right=(1,)))


@app.command()
def training(
    profile: Annotated[str, typer.Argument(metavar="PROFILE", help="Name on the search path, or a .toml file.")],
    sets: Sets = None,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Optimiser steps timed on each side.")] = 8,
    repeats: Annotated[int, typer.Option("--repeats", "-n", min=1, help="Rounds, each side once.")] = 3,
    json: Json = False,
) -> None:
    """Time training on this machine against TRL's defaults from a model name: same rows, same adapter, in turn."""
    from lab.bench.against_trl import race

    found = race(profile, sets or [], steps, repeats, note)
    if json:
        print_json({"trl": found.trl, "lab": found.lab, "ratio": found.ratio})
        return
    rows = _ranges({"TRL's defaults": found.trl, "the lab": found.lab}, ".0f")
    typer.echo(columns(("training", "tokens/s", "range"), rows, right=(1, 2)))
    typer.echo(f"{found.ratio:.2f} times as fast")


@app.command()
def prepare(
    chats: Annotated[int, typer.Option("--chats", min=10, help="Chats to prepare.")] = 20_000,
    repeats: Annotated[int, typer.Option("--repeats", "-n", min=1, help="Rounds, each side once.")] = 3,
    json: Json = False,
) -> None:
    """Time making tokens and masks of chats against TRL's own preparation of the same chats, in turn."""
    from lab.bench.prepare import measure

    found = measure(chats, repeats, note)
    if json:
        print_json(found.as_json())
        return
    rows = _ranges({"TRL": found.trl_seconds, "the lab": found.lab_seconds}, ".1f", " s")
    typer.echo(columns((f"{found.chats:,} chats, {found.tokens:,} tokens", "took", "range"), rows, right=(1, 2)))
    result = "met" if found.met else "missed"
    typer.echo(f"{found.ratio:.2f} of TRL's time (at most {found.target:g}: {result})")
    typer.echo("the same tokens and labels" if found.same else "the tokens or labels differ")


@app.command()
def throughput(
    shape: Shape = "llama-3.2-1b",
    method: Method = "qlora",
    workload: Workload = "w16",
    against: Annotated[str, typer.Option("--against", help="plain: also the studies' own recipe.")] = "",
    without: Annotated[str, typer.Option("--without", help="Pieces to leave out: graphs,lora,head,liger,varlen.")] = "",
    ablate: Annotated[bool, typer.Option("--ablate", help="Also without each piece, and from none to all.")] = False,
    lean: Annotated[bool, typer.Option("--lean", help="Compute activations again instead of keeping them.")] = False,
    steps: Annotated[int, typer.Option("--steps", min=0, help="Timed steps; 0 takes the workload's own.")] = 0,
    sets: Sets = None,
    json: Json = False,
) -> None:
    """Measure how fast this machine trains, on random weights of a true shape and rows of Alpaca's lengths."""
    from lab.bench.throughput import asked_rows, measure
    from lab.bench.throughput_report import HEADER, launch_line, line_of
    from lab.errors import LabError, UsageError

    if against not in ("", "plain"):
        raise UsageError(f"There is nothing '{against}' to measure against.", "Use --against plain.")
    switches = {"lean": lean, "against": bool(against), "ablate": ablate}
    rows = asked_rows(shape, method, workload, without, steps=steps, sets=sets or (), **switches)
    records: list[dict[str, Any]] = []
    note(f"{len(rows)} to measure, one after the other")
    measure(rows, records.append)
    if json:
        print_json({"rows": records})
    else:
        typer.echo(columns(HEADER, [line_of(record) for record in records], right=tuple(range(1, len(HEADER) - 1))))
        typer.echo(launch_line(records))
    failed = [record["name"] for record in records if "failed" in record]
    if failed:
        raise LabError(f"{len(failed)} of {len(rows)} could not be measured.", "The table says why; try --without.")


@app.command()
def monitoring(
    shape: Shape = "llama-3.2-1b",
    method: Method = "lora",
    workload: Workload = "w16",
    segments: Annotated[int, typer.Option("--segments", "-n", min=1, help="Timed segments of each kind.")] = 6,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Steps a segment.")] = 100,
    readers: Annotated[int, typer.Option("--readers", min=0, help="Processes that follow the run folder.")] = 20,
    json: Json = False,
) -> None:
    """Measure what watching costs: steps with events, telemetry and readers against bare ones, in turn."""
    from lab.bench.monitoring import TARGET, measure

    found = measure(shape, method, workload, segments, steps, readers, note)
    if json:
        print_json(found.as_json())
        return
    taken = {"bare": found.bare, "watched": found.watched}
    rows = _ranges({name: [1000 * one for one in seconds] for name, seconds in taken.items()}, ".3f", " ms")
    typer.echo(columns((f"{shape} {method} {workload}, {found.device}", "a step", "range"), rows, right=(1, 2)))
    typer.echo(f"watching takes {found.share:+.2%} (at most {TARGET:.0%}: {'met' if found.met else 'missed'})")


@app.command()
def inference(
    run: Run,
    rows: Annotated[int, typer.Option("--rows", min=1, help="Test rows that every form answers.")] = 8,
    tokens: Annotated[int, typer.Option("--tokens", min=0, help="Longest answer; 0 takes the profile's.")] = 0,
    only: Annotated[list[str] | None, typer.Option("--only", help="Forms whose names hold this text.")] = None,
    json: Json = False,
) -> None:
    """Measure what answering costs: base, quantised base, adapter, merged, and GGUF files exported from the run."""
    from lab.bench.inference import measure
    from lab.bench.inference_report import HEADER, line_of, metric_of
    from lab.errors import LabError
    from lab.runs.store import find_run

    info = find_run(run)
    found = measure(info, rows, tokens, only or [], note)
    if json:
        print_json({"run": info.id, "rows": rows, "forms": [cost.as_json() for cost in found]})
    else:
        metric = metric_of(found)
        lines = [line_of(cost, metric) for cost in found]
        typer.echo(columns((*HEADER, metric or "quality", ""), lines, right=tuple(range(2, len(HEADER) + 1))))
    failed = [cost for cost in found if cost.failed]
    if failed:
        raise LabError(f"{len(failed)} of {len(found)} could not be measured.", "The table says why; try --only.")


@app.command()
def generation(
    run: Run,
    rows: Annotated[int, typer.Option("--rows", min=1, help="Test rows that both sides answer.")] = 64,
    tokens: Annotated[int, typer.Option("--tokens", min=0, help="Longest answer; 0 takes the profile's.")] = 0,
    json: Json = False,
) -> None:
    """Time the lab's batches against one-by-one `generate` on the run's own model: same prompts, same weights."""
    from lab.modeling.cpu import limit_cpu

    limit_cpu()
    from lab.bench.generation import race
    from lab.runs.store import find_run

    found = race(find_run(run).run, rows, tokens, note)
    if json:
        print_json(found.as_json())
        return
    sides = (("one by one", found.one_by_one), (f"{found.batch} at once", found.batched))
    lines = [(name, "-" if value is None else f"{value:.1f}") for name, value in sides]
    typer.echo(columns((f"{found.rows} prompts, {found.device}, {found.dtype}", "tokens/s"), lines, right=(1,)))
    if found.ratio is not None:
        result = "met" if found.ratio >= found.target else "missed"
        typer.echo(f"{found.ratio:.1f} times as fast (at least {found.target:g}: {result})")
    typer.echo(f"{found.same:.0%} of the answers have the same text")


def _ranges(sides: Mapping[str, Sequence[float]], form: str, unit: str = "") -> list[tuple[str, str, str]]:
    """Return the name, the median and the range of each side's figures."""
    from statistics import median

    return [
        (name, f"{median(found):{form}}{unit}", f"{min(found):{form}}-{max(found):{form}}")
        for name, found in sides.items()
    ]

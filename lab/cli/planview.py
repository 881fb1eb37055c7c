"""The plan of a run as text: short aligned sections. Called by `lab plan`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from shlex import join
from textwrap import TextWrapper, fill
from typing import Any

from lab.text import byte_size, clip, display_width, number, pad, plural, short_count

WIDEST = 80
DIM, PLAIN = "\x1b[2m", "\x1b[0m"
OPEN, CLOSE = "[[", "]]"
PARTS = ("weights", "trainable", "activations", "temporary", "overhead")

LENGTHS = ("min", "median", "p90", "max")

Example = Sequence[dict[str, Any]]


def sections(plan: dict[str, Any], columns: int, *, dim: bool) -> Iterator[str]:
    """Yield the plan as blocks of lines.

    Args:
        plan: what `lab.training.plan.plan` returns, with "seconds" where the model was timed, and "sbatch" where it
            would be submitted.
        dim: dim what is not supervised; otherwise brackets enclose what is.
    """
    columns = min(columns, WIDEST)
    yield pairs([("profile", plan["profile"]), ("model", plan["model"]["label"]), ("method", plan["method"])], columns)
    yield _unread(plan, columns) if plan["data"] is None else _data(plan["data"], columns)
    if plan["data"] and plan["data"]["example"]:
        key = "dimmed: not supervised" if dim else f"{OPEN}supervised{CLOSE}"
        yield "\n".join([f"Example ({key})", *example_lines(plan["data"]["example"], columns - 2, dim=dim)])
    if plan["data"] and plan["refused"]:
        return
    choices = [(name, f"{_value(one['value'])} - {one['why']}") for name, one in plan["recipe"].items()]
    yield "Recipe\n" + pairs(choices, columns, "  ")
    if plan["steps"]:
        yield "Steps\n" + pairs(_steps(plan), columns, "  ")
    yield "Size\n" + pairs(_size(plan), columns, "  ")
    if "sbatch" in plan:
        yield _sbatch(plan["sbatch"], columns)
    if "seconds" in plan:
        from lab.cli.estimate import about

        alone = " in one process" if plan["recipe"]["ranks"]["value"] > 1 else ""
        seconds = plan["seconds"]
        yield "Time\n  " + ("it could not be measured" if seconds is None else f"{about(seconds)} here{alone}")


def _sbatch(words: Sequence[str], columns: int) -> str:
    """Return the command that would be given, never broken within a word."""
    wrapper = TextWrapper(
        columns, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False, break_long_words=False
    )
    return f"Slurm (recipe and memory above are this machine's)\n{wrapper.fill(join(words))}"


def pairs(rows: Sequence[tuple[str, str]], columns: int, indent: str = "") -> str:
    """Return names and values aligned; a long value goes on beneath itself."""
    names = max(len(name) for name, _ in rows)
    heads = [f"{indent}{name:<{names}}  " for name, _ in rows]
    return "\n".join(
        fill(value, columns, initial_indent=head, subsequent_indent=" " * len(head))
        for head, (_, value) in zip(heads, rows, strict=True)
    )


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if value != "" else "none"


def _unread(plan: dict[str, Any], columns: int) -> str:
    """Tell why no row was read, and what stands for rows in what follows."""
    named = plan["model"]["kind"] == "known by name"
    why = "no tokenizer here; the sizes of the model are known by its name" if named else plan["unread"]["problem"]
    return "Data\n" + pairs([("not read", why), ("instead", "rows of data.max_length, all supervised")], columns, "  ")


def _data(report: dict[str, Any], columns: int) -> str:
    sources = [(source["name"], _source(source)) for source in report["sources"]]
    facts = [
        ("template", _template(report["template"])),
        ("supervised", f"{_percent(report['supervised_share'])} of all tokens"),
        ("lost", f"{_percent(report['dropped_share'])} of the rows, unasked"),
    ]
    return "\n".join(
        ["Data", pairs(sources, columns, "  "), _splits(report["splits"], columns), pairs(facts, columns, "  ")]
    )


def _template(template: dict[str, Any]) -> str:
    folded = ", system messages go into the first user turn" if template["folds_system"] else ""
    return f"{template['source']} ({template['hash']}){folded}"


def _source(source: dict[str, Any]) -> str:
    dropped = [f"{count:,} {reason}" for reason, count in source["dropped"].items()]
    counts = [f"{source['read']:,} rows read", f"{source['kept']:,} kept"]
    told = ", ".join([*counts, *(["dropped: " + ", ".join(dropped)] if dropped else []), *_cut(source)])
    return f"{source['format']} (by {source['chosen_by']}): {told}"


def _cut(source: dict[str, Any]) -> list[str]:
    """Tell what cleaning took from user turns, by its commonest fragment."""
    cuts = source["meta_instructions"]
    if not cuts or not cuts["rows"]:
        return []
    return [f"meta-instructions cut from {plural(cuts['rows'], 'row')} (such as '{next(iter(cuts['most_common']))}')"]


def _splits(splits: dict[str, Any], columns: int) -> str:
    rows: list[tuple[str, ...]] = [("split", "rows", "tokens", "supervised", *LENGTHS)]
    for name, split in splits.items():
        counts = [f"{split[key]:,}" for key in ("rows", "tokens", "supervised_tokens")]
        rows.append((name, *counts, *(number(split["lengths"][key], 0) for key in LENGTHS)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(pad(cell, widths[i], right=i > 0) for i, cell in enumerate(row)) for row in rows)
    return "\n".join(clip(f"  {line}", columns) for line in lines)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _share(share: float) -> str:
    """Return a share whose size matters even where it is far below one in a hundred."""
    return f"{100 * share:.2f} %" if share < 0.01 else _percent(share)


def _steps(plan: dict[str, Any]) -> list[tuple[str, str]]:
    steps = plan["steps"]
    tokens = "not known" if steps["tokens"] is None else f"{steps['tokens']:,} to train on"
    epochs = f"{steps['epochs']:.3g} x {steps['per_epoch']:,}"
    return [
        ("optimiser", f"{plural(steps['total'], 'step')} ({epochs} steps an epoch)"),
        ("warm-up", plural(steps["warmup"], "step")),
        ("validation", plural(steps["validations"], "time")),
        ("tokens", tokens),
    ]


def _size(plan: dict[str, Any]) -> list[tuple[str, str]]:
    if plan["memory"] is None:
        return [("unknown", plan["unknown_size"])]
    parameters, memory = plan["parameters"], plan["memory"]
    trained = f"{short_count(parameters['trainable'])} trained ({_share(parameters['share'])})"
    parts = ", ".join(f"{name} {byte_size(memory[name])}" for name in PARTS if memory[name])
    bound = "about" if (plan["data"] is None) == memory["at_least"] else "at least" if plan["data"] else "at most"
    room = "" if memory["fits"] else ": it does not fit"
    return [
        ("parameters", f"{short_count(parameters['total'])}, {trained}"),
        ("memory", f"{bound} {byte_size(memory['total'])} of {byte_size(memory['device_bytes'])}{room}"),
        ("of that", parts),
    ]


def example_lines(example: Example, columns: int, *, dim: bool) -> list[str]:
    """Return a rendered row as indented lines of at most `columns`, its supervised parts told from the others."""
    if not dim:
        marked = "".join(f"{OPEN}{part['text']}{CLOSE}" if part["supervised"] else part["text"] for part in example)
        return [f"  {piece}".rstrip() for line in marked.rstrip().split("\n") for piece in pieces(line, columns)]
    flags = [bool(part["supervised"]) for part in example for _ in part["text"]]
    lines, place = [], 0
    for line in "".join(part["text"] for part in example).rstrip().split("\n"):
        for piece in pieces(line, columns):
            lines.append("  " + _dimmed(piece, flags[place : place + len(piece)]))
            place += len(piece)
        place += 1  # the line break
    return lines


def pieces(line: str, columns: int) -> list[str]:
    """Cut `line` into parts of at most `columns`, between words where it can be; together they are the line."""
    found: list[str] = []
    start = used = after_space = 0
    for index, character in enumerate(line):
        step = display_width(character)
        while used + step > columns:
            cut = after_space if after_space > start else index
            found.append(line[start:cut])
            start, used = cut, display_width(line[cut:index])
        used += step
        if character == " ":
            after_space = index + 1
    return [*found, line[start:]]


def _dimmed(text: str, supervised: Sequence[bool]) -> str:
    runs = groupby(zip(text, supervised, strict=True), key=itemgetter(1))
    parts = ((flag, "".join(character for character, _ in run)) for flag, run in runs)
    return "".join(part if flag else f"{DIM}{part}{PLAIN}" for flag, part in parts)

"""`lab report`: a study, or some runs, as one page that opens anywhere."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.options import Json, Scale, Sets
from lab.cli.output import note, print_json

if TYPE_CHECKING:
    from lab.compare.report.gather import Report
    from lab.runs.store import RunInfo

KINDS = (".html", ".md", ".png")


def report(
    targets: Annotated[list[str], typer.Argument(metavar="STUDY | RUN...", help="A study, or ids of runs.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File: .html, .md or .png.")] = Path("report.html"),
    sets: Sets = None,
    scale: Scale = "full",
    json: Json = False,
) -> None:
    """Write one self-contained report: table, charts, samples, fairness, how to reproduce. It opens offline."""
    from lab.errors import NotFoundError, UsageError
    from lab.text import did_you_mean

    if out.suffix.lower() not in KINDS:
        hint = did_you_mean(out.suffix.lower(), KINDS)
        raise UsageError(f"A report cannot be written as '{out.name}'.{hint}", f"End its name in {', '.join(KINDS)}.")
    if not out.parent.is_dir():
        raise NotFoundError(f"There is no folder {out.parent}.", "Make it first, or choose another -o.")
    found = gather_targets(targets, sets or [], scale)
    write_report(found, out)
    if json:
        print_json({"report": str(out), "name": found.name, "rows": len(found.rows), "answer": found.answer})
    else:
        note(found.answer)
        typer.echo(str(out))


def write_report(found: Report, out: Path) -> None:
    """Write the report in the form that the file's name asks for. Raises what `picture` and writing a file raise."""
    from lab.compare.report.notes import notes
    from lab.compare.report.page import page
    from lab.compare.report.picture import picture

    kind = out.suffix.lower()
    if kind == ".png":
        picture(page(found, poster=True), out)
    else:
        writers: dict[str, Callable[[Report], str]] = {".html": page, ".md": notes}
        out.write_text(writers[kind](found), encoding="utf-8", errors="replace")


def gather_targets(targets: Sequence[str], sets: Sequence[str], scale: str) -> Report:
    """Read the study that the only target names, or the runs that the targets name.

    Raises:
        NotFoundError: it is neither a study nor a run, or no row of the study is done.
        UsageError: what is for studies alone is asked of runs.
    """
    from lab.compare.report.gather import gather
    from lab.errors import UsageError
    from lab.runs.store import find_run

    study = _study_of(targets, sets, scale)
    if study is not None:
        return study
    if sets or scale != "full":
        raise UsageError(f"{targets[0]} is no study: --set and --scale mean nothing for runs.", "Leave them out.")
    infos = [find_run(text) for text in targets]
    command = shlex.join(["lab", "report", *(info.id for info in infos)])
    return gather(infos, name=_names(infos), command=command)


def _study_of(targets: Sequence[str], sets: Sequence[str], scale: str) -> Report | None:
    """Return the report of a study, None where the targets are runs."""
    from lab.compare.report.gather import gather
    from lab.errors import NotFoundError
    from lab.launching.study import done_rows, none_done, study_command
    from lab.profile.scale import load_scaled
    from lab.profile.study import find_study

    if len(targets) != 1:
        return None
    try:
        find_study(targets[0])
    except NotFoundError:
        if targets[0].endswith(".toml"):
            raise
        return None
    study = load_scaled(targets[0], tuple(sets), scale)
    done = done_rows(study)
    command = study_command("run", targets[0], sets, scale)
    if not done:
        raise none_done(study, command)
    return gather(
        [done[row.name] for row in study.rows if row.name in done],
        name=study.name,
        question=study.description,
        axes=study.axes,
        missing=[row.name for row in study.rows if row.name not in done],
        command=command,
    )


def _names(infos: Sequence[RunInfo]) -> str:
    return infos[0].id if len(infos) == 1 else f"{len(infos)} runs"

"""The command tree, and how its errors end: two sentences on stderr and an exit code."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

import lab
from lab.cli import (
    bench,
    chat,
    compare,
    demo,
    doctor,
    evaluate,
    export,
    fetch,
    plan,
    profiles,
    report,
    runs,
    serve_model,
    study,
    train,
)
from lab.cli.output import note
from lab.errors import LabError

app = typer.Typer(
    name="lab",
    help="LoRA Lab: fine-tuning studies in the terminal. Without a command it opens the console.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(profiles.app, name="profiles")
app.add_typer(study.app, name="study")
app.add_typer(runs.app, name="runs")
app.add_typer(bench.app, name="bench")
app.add_typer(export.app, name="export")
for verb in (demo.demo, plan.plan, train.train, compare.compare, compare.samples, fetch.fetch, doctor.doctor):
    app.command()(verb)
app.command("eval")(evaluate.evaluate)
app.command()(report.report)
app.command()(chat.chat)
app.command("serve-model")(serve_model.serve_model)


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    ascii_only: Annotated[bool, typer.Option("--ascii", help="Console: no characters beyond ASCII.")] = False,
    readonly: Annotated[bool, typer.Option("--readonly", help="Console: look, change nothing.")] = False,
) -> None:
    if version:
        typer.echo(f"lab {lab.__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        open_console(context, ascii_only=ascii_only, readonly=readonly)


def open_console(context: typer.Context, *, ascii_only: bool, readonly: bool) -> None:
    """Open the console; without a terminal print the help instead."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        typer.echo(context.get_help())
        return
    from lab.console.app import run as run_console
    from lab.home import lab_home

    run_console(lab_home(), ascii=ascii_only, readonly=readonly)


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code: 0 well, 1 failed, 2 usage, 3 not found."""
    try:
        app(args=arguments, prog_name="lab")
    except LabError as error:
        note(f"lab: {error.problem}\n     {error.remedy}")
        return error.exit_code
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a file that went away, a folder that may not be written, a full disk
        problem = f"{error.filename or 'A file'} cannot be used ({error.strerror or error})."
        note(f"lab: {problem}\n     Check its name, its owner and the disk.")
        return 1
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0

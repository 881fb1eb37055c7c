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
    judge,
    plan,
    profiles,
    report,
    runs,
    serve,
    serve_model,
    study,
    train,
)
from lab.cli.misuse import unknown_command
from lab.cli.output import note
from lab.errors import LabError

_CommandLineError: type[typer.BadParameter] = typer.BadParameter.__mro__[1]
"""What Typer raises for an unknown command, an unknown option, a missing or a wrong value."""
ESCAPE_MILLISECONDS = "50"
"""How long a lone Esc waits for the rest of a key's code; Textual's own 100 makes Esc the slowest key there is."""

app = typer.Typer(
    name="lab",
    help="LoRA Lab: fine-tuning studies in the terminal. Without a command it opens the console.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo", short_help="The whole story on the bundled model: start here.")(demo.demo)
app.add_typer(profiles.app, name="profiles")
app.command("plan", short_help="Dry run: rows, an example with its mask, steps, memory.")(plan.plan)
app.command("train", short_help="Start runs, by profile or by --model and --data.")(train.train)
app.add_typer(study.app, name="study")
app.add_typer(runs.app, name="runs", short_help="Runs: list, watch, stop, resume, delete, compare settings.")
app.command("eval", short_help="Answer the test rows with a run, and score them.")(evaluate.evaluate)
app.command("compare", short_help="The table of several runs: quality beside cost.")(compare.compare)
app.command("samples", short_help="Answers of several runs side by side; rate them blind.")(compare.samples)
app.command("judge", short_help="Let a judge prefer a run's answers or others, in pairs.")(judge.judge)
app.command("report", short_help="A study or runs as one file to pass on.")(report.report)
app.command("chat", short_help="Talk to what a run trained.")(chat.chat)
app.command("serve-model", short_help="A run behind OpenAI's chat API, on this host only.")(serve_model.serve_model)
app.command("serve", short_help="The console in a browser, read-only.")(serve.serve)
app.add_typer(export.app, name="export")
app.command("fetch", short_help="Download a profile's model and data beforehand.")(fetch.fetch)
app.command("doctor", short_help="What works on this machine, and what mends the rest.")(doctor.doctor)
app.add_typer(bench.app, name="bench")


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
    os.environ.setdefault("ESCDELAY", ESCAPE_MILLISECONDS)  # Textual reads it when it is imported
    from lab.console.app import run as run_console
    from lab.home import lab_home

    run_console(lab_home(), ascii=ascii_only, readonly=readonly)


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code: 0 well, 1 failed, 2 usage, 3 not found."""
    try:
        code = app(args=arguments, prog_name="lab", standalone_mode=False)
    except LabError as error:
        note(f"lab: {error.problem}\n     {error.remedy}")
        return error.exit_code
    except _CommandLineError as error:
        return _misused(error)
    except typer.Abort:  # the answer to a question was no
        note("Nothing was changed.")
        return 1
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a file that went away, a folder that may not be written, a full disk
        problem = f"{error.filename or 'A file'} cannot be used ({error.strerror or error})."
        note(f"lab: {problem}\n     Check its name, its owner and the disk.")
        return 1
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # Typer's own way to end it
            return 0
        return end.code if isinstance(end.code, int) else 1
    return code if isinstance(code, int) else 0


def _misused(error: typer.BadParameter) -> int:
    """Say what is wrong with a command line, and where its help is; a group without a command is its help."""
    context = error.ctx
    problem = error.format_message().strip()
    if context is None or problem.startswith("Usage:"):
        note(problem)
        return 2
    if problem[-1] not in ".?":
        problem += "."
    elsewhere = unknown_command(problem, context.find_root().command)
    problem, remedy = elsewhere or (problem, f"See `{context.command_path} -h`.")
    note(f"lab: {problem}\n     {remedy}")
    return 2

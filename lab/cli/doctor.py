"""`lab doctor`: what works here, what does not, what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from lab.cli.options import Json
from lab.cli.output import print_json, width

if TYPE_CHECKING:
    from lab.telemetry.check import Check

STATUS_WIDTH = 4


def doctor(json: Json = False) -> None:
    """Check GPU, libraries, folders, hub and terminal; each finding with what mends it. Fails if a check fails."""
    from itertools import chain

    from lab.bench.doctor import CHECKS
    from lab.launching.workerchecks import worker_checks
    from lab.telemetry.doctor import LIGHT

    names = max(len(name) for name in (*LIGHT, *CHECKS))
    checks = []
    for check in chain((make() for make in LIGHT.values()), worker_checks()):
        checks.append(check)
        if not json:
            typer.echo(lines_of(check, names, width()))
    failed = [check for check in checks if check.status == "fail"]
    if json:
        print_json({"ok": not failed, "checks": [check.as_json() for check in checks]})
    else:
        typer.echo(_verdict(checks))
    if failed:
        raise typer.Exit(1)


def lines_of(check: Check, names: int, columns: int) -> str:
    """Return a check as lines of at most `columns`: status, name and finding, the remedy indented beneath."""
    from textwrap import fill

    indent = " " * (STATUS_WIDTH + 2 + names + 2)
    head = f"{check.status:<{STATUS_WIDTH}}  {check.name:<{names}}  "
    room = max(columns, len(indent) + 20)
    lines = [fill(check.found, room, initial_indent=head, subsequent_indent=indent)]
    if check.remedy:
        lines.append(fill("-> " + check.remedy, room, initial_indent=indent, subsequent_indent=indent + "   "))
    return "\n".join(lines)


def _verdict(checks: list[Check]) -> str:
    from lab.text import plural

    failed, warned = (sum(check.status == status for check in checks) for status in ("fail", "warn"))
    warnings = f", {plural(warned, 'warning')}" if warned else ""
    return (f"{plural(failed, 'check')} failed" if failed else "What is needed works") + f"{warnings}."

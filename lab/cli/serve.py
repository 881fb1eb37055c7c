"""`lab serve`: the console in a browser, to look at."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

import typer

from lab.cli.output import note


def serve(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes any free one.")] = 8090,
) -> None:
    """Show the console in a browser on this host, read-only; other machines reach it through an SSH tunnel."""
    from lab.errors import LabError

    if find_spec("textual_serve") is None:
        raise LabError(
            "textual-serve, which carries the console to a browser, is not installed.",
            "Install it: pip install 'lora-lab[web]'.",
        )
    from lab.console.browser import ConsoleServer

    ConsoleServer(port, note).serve()

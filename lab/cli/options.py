"""Options that several verbs share."""

from __future__ import annotations

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="KEY=VALUE", help="Change a value: train.epochs=2. Repeatable."),
]
Run = Annotated[str, typer.Argument(metavar="RUN", help="Id, name, any unique part of an id, or 'latest'.")]
Query = Annotated[str, typer.Option("--query", "-q", help="Filter: 'method=qlora loss<1.2 tag:alpaca'.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Scale = Annotated[
    str, typer.Option("--scale", help="small: the same rows on the bundled model and data, in minutes on a CPU.")
]

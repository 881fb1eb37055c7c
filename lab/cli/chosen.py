"""What to train, as a command line says it: by profiles, or by model, data and method alone. For `train` and `plan`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.output import note

if TYPE_CHECKING:
    from lab.profile.load import Resolved

Model = Annotated[str, typer.Option("--model", help="Without a profile: hub id or folder.")]
Data = Annotated[str, typer.Option("--data", help="Without a profile: file or hub data set.")]
Method = Annotated[str, typer.Option("--method", help="Without a profile: lora, qlora ...")]


def chosen(profiles: Sequence[str], sets: Sequence[str], model: str, data: str, method: str) -> list[Resolved]:
    """Return the profiles with the flags and then `sets` put into them; without profiles the one that flags make.

    Raises:
        UsageError: there is neither a profile nor data.
        LabError: a profile cannot be.
    """
    from lab.errors import UsageError
    from lab.profile.load import load_profile, resolve

    flags = _assignments(model, data, method)
    if profiles:
        return [load_profile(name, [*flags, *sets]) for name in profiles]
    if not data:
        raise UsageError("There is nothing to train on.", "Name a profile (`lab profiles list`), or give --data.")
    name = f"{PurePath(data).stem.rpartition(':')[2]}-{method or 'lora'}"
    return [resolve(name, {"data": {"source": [{"name": data}]}}, {}, [*flags, *sets])]


def say_untested(profiles: Sequence[Resolved]) -> None:
    """Say of which profiles nothing will be evaluated: rows that were trained on cannot test afterwards."""
    for one in profiles:
        if not any(source.test for source in one.profile.data.source) and not one.profile.evaluate.task:
            note(
                f"{one.name} holds no rows out, so it will have no metrics and no answers to compare. "
                "Hold some out: --set data.source.0.test=100."
            )


def say_unasked(profiles: Sequence[Resolved]) -> None:
    """Say which profiles ask Slurm for something and are not given to it.

    A note and no refusal: a profile may hold its [launch.slurm] for the days on which `launch.kind=slurm` is set.
    """
    from lab.profile.schema import Slurm

    for one in profiles:
        if one.profile.launch.kind == "slurm" or one.profile.launch.slurm == Slurm():
            continue
        note(f"{one.name} has a [launch.slurm] table and runs on this machine. Submit it: --set launch.kind=slurm.")


def _assignments(model: str, data: str, method: str) -> list[str]:
    from lab.jsonio import dumps

    given = {"model.name": model, "data.source.0.name": data, "method.kind": method}
    return [f"{key}={dumps(value)}" for key, value in given.items() if value]

"""The checks of `lab doctor` that load libraries, from the front's side: run in a child, gone on with after a crash."""

from __future__ import annotations

from collections.abc import Iterator

from lab.errors import LabError
from lab.launching.child import json_lines
from lab.telemetry.check import Check

MODULE = "lab.bench.doctor"
PATIENCE_SECONDS = 180.0


def worker_checks(module: str = MODULE, timeout: float = PATIENCE_SECONDS) -> Iterator[Check]:
    """Yield the checks as they are made. One that kills its process has failed; the others go on in a new one.

    Args:
        module: run with `--after NAME` where it is to leave out all checks up to that one.
        timeout: seconds that each process gets.
    """
    done: str | None = None
    while True:
        begun: str | None = None
        try:
            for record in json_lines(module, ["--after", done] if done else [], timeout=timeout):
                if "begin" in record:
                    begun = str(record["begin"])
                else:
                    yield Check.from_json(record)
                    begun, done = None, str(record["name"])
            return
        except LabError as error:
            yield Check(begun or "worker", "fail", error.problem, _remedy(begun))
            if begun is None:
                return
            done = begun


def _remedy(name: str | None) -> str:
    if name is None:
        return "Reinstall the lab: its worker side cannot start."
    return f"Reinstall what '{name}' loads, and look at the driver where there is a GPU."

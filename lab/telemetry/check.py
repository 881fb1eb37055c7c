"""One finding of `lab doctor`: made by the checks of the front and of the worker side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

from lab.text import sanitize

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Check:
    """What was looked at, how it is, what was found, and what mends it; `remedy` is empty where all is well."""

    name: str
    status: Status
    found: str
    remedy: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Check:
        """Read back what `as_json` wrote in another process; library texts in it are cleaned."""
        status = record["status"] if record["status"] in ("ok", "warn") else "fail"
        name, found, remedy = (sanitize(str(record[key]), newlines=False) for key in ("name", "found", "remedy"))
        return cls(name, cast(Status, status), found, remedy)

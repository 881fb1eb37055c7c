"""The order of the Runs page: sorted by one of its columns, or under a heading for each study."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from lab.console.rows import RunRow
from lab.runs.state import ENDED, LIVE

_STATES = {state: rank for rank, state in enumerate((*LIVE, *ENDED))}
_KEYS: dict[str, Callable[[RunRow], Any]] = {
    "newest": lambda row: -row.created,
    "state": lambda row: _STATES.get(row.state, len(_STATES)),
    "name": lambda row: row.title.casefold(),
    "loss": lambda row: _last(row.loss),
    "eval": lambda row: _last(row.best),
    "energy": lambda row: _last(row.energy_wh),
}
SORTS = tuple(_KEYS)
NO_STUDY = "no study"


def _last(value: float | None) -> float:
    """What was not measured, or is not a number, comes last."""
    return float("inf") if value is None or value != value else value


@dataclass(frozen=True)
class Order:
    """How runs are ordered. `reverse` turns the sort round; rows without a value still come last."""

    sort: str = "newest"
    reverse: bool = False
    by_study: bool = False

    def apply(self, rows: Iterable[RunRow]) -> list[RunRow]:
        """Return the rows in this order; equal ones stay the newest first."""
        newest = sorted(rows, key=lambda row: (-row.created, row.id))
        key = _KEYS[self.sort]
        if not self.reverse:
            return sorted(newest, key=key)
        known = [row for row in newest if key(row) != float("inf")]
        return sorted(known, key=key, reverse=True) + [row for row in newest if row not in known]

    def grouped(self, rows: Iterable[RunRow]) -> list[tuple[str, list[RunRow]]]:
        """Return (study, its rows in this order); the study with the newest run first, runs of none last."""
        ordered = self.apply(rows)
        newest = sorted(ordered, key=lambda row: -row.created)
        studies = dict.fromkeys(row.study for row in newest if row.study)
        groups = [(study, [row for row in ordered if row.study == study]) for study in studies]
        rest = [row for row in ordered if not row.study]
        return [*groups, *([(NO_STUDY, rest)] if rest else [])]

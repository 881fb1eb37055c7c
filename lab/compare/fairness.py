"""May these rows be compared? Finds what differs besides what the study varies on purpose.

    blocking      the quality figures measure different things: other rows, template, decoding, metric signature
    confounding   a difference has another possible cause: tokens seen, learning rate, seed, versions, GPU ...
    treatment     what the study varies (its axes; else the method and quantisation): never listed

Called by the table and by `lab runs diff`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lab import jsonio
from lab.compare.checks import BLOCKING, CHECKS, Check, signature_check
from lab.compare.entry import Entry, row_labels
from lab.text import listed

_TAILS = {
    ("blocking", "quality"): "their quality figures may not be compared.",
    ("confounding", "quality"): "a difference in quality may come from that.",
    ("confounding", "cost"): "a difference in cost may come from that.",
    ("confounding", "both"): "a difference in quality or cost may come from that.",
}


@dataclass(frozen=True)
class Finding:
    """One thing that differs. `values` maps the run's id to its value; rows that have none are not in it."""

    level: str
    key: str
    values: dict[str, Any]
    sentence: str

    def as_json(self) -> dict[str, Any]:
        return {"level": self.level, "key": self.key, "values": self.values, "text": self.sentence}


def compare_fairness(entries: Sequence[Entry], axes: Iterable[str] = ()) -> list[Finding]:
    """Return what stands against comparing `entries`, blocking findings first.

    Args:
        axes: key paths that the study varies on purpose, and what follows from them, are not held against it.
    """
    rows = [entry for entry in entries if entry.kind in ("run", "artifact")]
    labels = row_labels(rows)
    signatures = dict.fromkeys(name for entry in rows for name in entry.metrics)
    checks = [*CHECKS, *(signature_check(name) for name in signatures)]
    axes = tuple(axes)
    found = [_finding(check, rows, labels) for check in checks if not check.excused(axes)]
    return sorted((finding for finding in found if finding), key=lambda finding: finding.level != "blocking")


def quality_key(entry: Entry, axes: Iterable[str] = ()) -> str:
    """Return what evaluated rows must share for their quality figures to be comparable, as one text."""
    axes = tuple(axes)
    return jsonio.dumps([check.read(entry) for check in BLOCKING if not check.excused(axes)])


def cost_key(entry: Entry) -> str:
    """Return what rows must share for their cost figures to be comparable."""
    return jsonio.dumps([check.read(entry) for check in CHECKS if check.key in ("device", "threads", "memory_kind")])


def _finding(check: Check, rows: Sequence[Entry], labels: dict[str, str]) -> Finding | None:
    concerned = [entry for entry in rows if entry.metrics or check.concerns != "quality"]
    values = {entry.id: value for entry in concerned if (value := check.read(entry)) is not None}
    if not check.differ(list(values.values())):
        return None
    shown = check.show(list(values.values()))
    listing = _listing(dict(zip(values, shown, strict=True)), labels)
    tail = check.tail or _TAILS[check.level, check.concerns]
    return Finding(check.level, check.key, values, f"{check.title} differ: {listing}; {tail}")


def _listing(shown: dict[str, str], labels: dict[str, str]) -> str:
    """Return `a3f1 (lora, top), 77b2 (qlora)`."""
    by_value: dict[str, list[str]] = {}
    for run, value in shown.items():
        by_value.setdefault(value, []).append(labels[run])
    return ", ".join(f"{value} ({listed(names)})" for value, names in by_value.items())

"""How one value is written in a table: numbers with or without their intervals, costs in their units.

Called by the text and Markdown views.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lab.compare.columns import Column
from lab.compare.deltas import Delta
from lab.compare.entry import Entry
from lab.text import byte_size, duration, short_count

PLAIN, HALF, BRACKETS, FULL = range(4)
"""How much of an interval is written: .54, .54 ±.07, .54 [.47 .61], .543 [.472 .611]."""


@dataclass(frozen=True)
class Glyphs:
    """The signs that a terminal may lack. `ascii` names are cut with `~`."""

    plus_minus: str = "±"
    ellipsis: str = "…"
    rule: str = "─"
    bar: str = "│"

    def text(self, value: str) -> str:
        """Return `value` as it may be printed with these signs."""
        return value if self.ellipsis == "…" else value.encode("ascii", "replace").decode()


UNICODE = Glyphs()
ASCII = Glyphs("+-", "~", "-", "|")


def cell(entry: Entry, column: Column, detail: int, glyphs: Glyphs = UNICODE, mark: str = "") -> str:
    """Return what stands in a cell; `mark` follows the value, before its interval."""
    if not column.quality:
        return cost(entry.cost.get(column.key), column.unit) + mark
    record = entry.metrics.get(column.key)
    if record is None or record["value"] is None:
        return "-" + mark
    digits = 3 if detail == FULL else 2
    value = quality(record["value"], column.unit, digits) + mark
    if record.get("sd") is not None and detail != PLAIN:
        return f"{value} sd {quality(record['sd'], column.unit, digits)}"
    if record["low"] is None or record["high"] is None or detail == PLAIN:
        return value
    return f"{value} {_interval(record['low'], record['high'], column.unit, detail, glyphs)}"


def delta_cell(delta: Delta | None, column: Column, detail: int, glyphs: Glyphs = UNICODE) -> str:
    """Return a signed difference with its corrected p-value, or its interval where there is room."""
    if delta is None:
        return "-"
    digits = 3 if detail == FULL else 2
    value = quality(delta.difference, column.unit, digits, sign="+")
    if delta.low is not None and delta.high is not None and detail >= BRACKETS:
        low, high = (quality(bound, column.unit, digits, sign="+") for bound in (delta.low, delta.high))
        value += f" [{low} {high}]"
    return value if detail == PLAIN else f"{value} {p_value(delta.p_holm)}"


def quality(value: float, unit: str, digits: int = 2, *, sign: str = "") -> str:
    """Return a metric's value: fractions as .54, perplexities with as many digits as tell them apart."""
    if not math.isfinite(value):
        return str(value)
    if unit == "fraction":
        text = f"{value:{sign}.{digits}f}"
        return text.replace("0.", ".", 1) if abs(float(text)) < 1 else text
    return small(value, digits, sign=sign)


def small(value: float, digits: int = 2, *, sign: str = "") -> str:
    """Return a figure of any size with about `digits` + 1 significant digits: 0.0123, 1.28, 17.4, 1,204."""
    if value and abs(value) < 0.1:
        return f"{value:{sign}.3g}"
    before = len(str(int(abs(value))))
    return f"{value:{sign},.{max(0, digits + 1 - before)}f}"


def p_value(value: float | None) -> str:
    if value is None:
        return "p -"
    return "p<.001" if value < 0.001 else f"p={quality(value, 'fraction', 3)}"


def cost(value: Any, unit: str) -> str:
    """Return a cost in its unit, `-` where it is not known."""
    if value is None or isinstance(value, bool):
        return {True: "yes", False: "no", None: "-"}[value]
    return _COSTS[unit](value) if isinstance(value, int | float) and math.isfinite(value) else str(value)


_COSTS: dict[str, Callable[[float], str]] = {
    "seconds": duration,
    "count": short_count,
    "bytes": byte_size,
    "watts": lambda value: f"{value:.0f}",
    "small": small,
    "text": str,
}


def _interval(low: float, high: float, unit: str, detail: int, glyphs: Glyphs) -> str:
    digits = 3 if detail == FULL else 2
    if detail == HALF:
        return f"{glyphs.plus_minus}{quality((high - low) / 2, unit, digits)}"
    return f"[{quality(low, unit, digits)} {quality(high, unit, digits)}]"

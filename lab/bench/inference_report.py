"""The table of `lab bench inference`. Called by the command."""

from __future__ import annotations

from collections.abc import Sequence

from lab.bench.inference import BATCH, Cost
from lab.compare.columns import QUALITY_ORDER
from lab.text import byte_size

HEADER = ("form", "in", "s/prompt", "tok/s", f"tok/s x{BATCH}", "first s", f"first s x{BATCH}", "memory", "file")


def metric_of(found: Sequence[Cost]) -> str:
    """Return the metric that tells most at a glance of those that some form has; empty without any."""
    names = {name for cost in found for name in cost.quality or {}}
    return next((name for name in QUALITY_ORDER if name in names), "")


def line_of(cost: Cost, metric: str) -> tuple[str, ...]:
    """Return one row of the table; what was not measured is a dash."""
    speeds, firsts = cost.tokens_per_second or {}, cost.first_token_seconds or {}
    many = str(BATCH)
    return (
        cost.name,
        cost.dtype or "-",
        _number(cost.seconds_per_prompt, 2),
        _number(speeds.get("1"), 1),
        _number(speeds.get(many), 1),
        _number(firsts.get("1"), 3),
        _number(firsts.get(many), 3),
        "-" if cost.memory_bytes is None else byte_size(cost.memory_bytes),
        "-" if cost.file_bytes is None else byte_size(cost.file_bytes),
        _number((cost.quality or {}).get(metric), 3),
        cost.failed,
    )


def _number(value: float | None, places: int) -> str:
    return "-" if value is None else f"{value:.{places}f}"

"""The report's answer in one sentence, computed from the table: what is best, by how much, and at what cost.

Called by `gather`. It never says more than the numbers do: rows that may not be compared are not ranked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from lab.compare.columns import Column
from lab.compare.deltas import Delta, deltas_to
from lab.compare.entry import Entry
from lab.compare.notes import SMALL_SAYS, above_floor
from lab.compare.table import Table
from lab.compare.views.cells import BRACKETS, cell, p_value, quality
from lab.profile.small import is_small
from lab.scoring.names import LIKELIHOOD
from lab.text import byte_size

SIGNIFICANT = 0.05
SHOWN = 3


def headline_column(table: Table) -> Column | None:
    """Return the metric that was asked for first, of those that most evaluated rows have and in which they differ.

    Likelihoods do not judge answers: one of them counts only where no other metric tells rows apart.
    """
    runs = [entry for entry in table.entries if entry.kind in ("run", "artifact") and entry.metrics]
    asked = list(dict.fromkeys(name for entry in runs for name in entry.metrics))
    columns = sorted((c for c in table.columns if c.quality and c.key in asked), key=lambda c: asked.index(c.key))
    found = {column.key: sum(_finite(entry, column) for entry in runs) for column in columns}
    best = max(found.values(), default=0)
    kept = [column for column in columns if best and found[column.key] == best]
    judging = [column for column in kept if column.key not in LIKELIHOOD]
    ordered = [*judging, *kept]
    return next((column for column in ordered if table.best[column.key]), next(iter(ordered), None))


def answer_sentence(table: Table, column: Column | None) -> str:
    """Return the sentence; where nothing can be ranked, why."""
    runs = [entry for entry in table.entries if entry.kind in ("run", "artifact")]
    scored = [entry for entry in runs if column is not None and _finite(entry, column)]
    if column is None or not scored:
        return "No row has been evaluated yet, so there is nothing to answer with."
    if table.blocked:
        blocking = next(finding for finding in table.findings if finding.level == "blocking")
        return f"The rows cannot be ranked: {blocking.sentence}"
    if len(scored) == 1:
        return f"Only {table.labels[scored[0].id]} was evaluated: {column.label} {cell(scored[0], column, BRACKETS)}."
    best = [entry for entry in scored if entry.id in table.best[column.key]]
    if not best:
        return f"All {len(scored)} rows have the same {column.label}, {cell(scored[0], column, BRACKETS)}."
    text = f"{_leads(table, column, best, scored)}{_cheapest(table, scored)}{_floor(table, column, best[0])}."
    return f"{SMALL_SAYS} {text}" if any(is_small(entry.study) for entry in scored) else text


def _leads(table: Table, column: Column, best: Sequence[Entry], scored: Sequence[Entry]) -> str:
    """Say which rows are best, how far they are from the reference row, and whether the next row is told apart."""
    most = "highest" if column.better == "higher" else "lowest"
    names = _listed([table.labels[entry.id] for entry in best])
    verb = "have" if len(best) > 1 else "has"
    text = f"{names} {verb} the {most} {column.label}, {cell(best[0], column, BRACKETS)}"
    reference = table.reference
    delta = table.deltas.get((best[0].id, column.key))
    if delta is not None and reference is not None:
        text += f", {_difference(delta, column)} against {table.labels[reference]} ({p_value(delta.p_holm)})"
    elif reference == best[0].id:
        text += ", and no other row beats it"
    return text + _runner_up(table, column, best, scored)


def _runner_up(table: Table, column: Column, best: Sequence[Entry], scored: Sequence[Entry]) -> str:
    ids = {entry.id for entry in best} | {table.reference}
    rest = [entry for entry in scored if entry.id not in ids]
    if len(best) > 1 or not rest:
        return ""
    sign = 1 if column.better == "higher" else -1
    next_best = max(rest, key=lambda entry: sign * float(entry.metrics[column.key]["value"]))
    found, _ = deltas_to(next_best, best)
    delta = found.get((best[0].id, column.key))
    if delta is None or delta.p_holm is None:
        return ""
    apart = "ahead of" if delta.p_holm < SIGNIFICANT else "not told apart from"
    return f", {apart} {table.labels[next_best.id]} ({_difference(delta, column)}, {p_value(delta.p_holm)})"


def _floor(table: Table, column: Column, best: Entry) -> str:
    """Say so where the best row does no better than answers that belong to other rows."""
    floor = next((entry for entry in table.entries if entry.kind == "floor"), None)
    if floor is None or above_floor(best, floor, column.key):
        return ""
    return f". That is not above the floor, {cell(floor, column, BRACKETS)}: what it scores is the form of the answers"


def _cheapest(table: Table, scored: Sequence[Entry]) -> str:
    """Say which trained rows took the least memory and energy, where the table found one that may be said to."""
    parts = []
    for key, words, write in (
        ("peak_memory_bytes", "the least memory", byte_size),
        ("energy_wh", "the least energy", _watt_hours),
    ):
        least = [entry for entry in scored if entry.id in table.best.get(key, ())]
        if 0 < len(least) < SHOWN:
            names = _listed([table.labels[entry.id] for entry in least])
            parts.append(f"{names} took {words} to train ({write(least[0].cost[key])})")
    return "; " + " and ".join(parts) if parts else ""


def _difference(delta: Delta, column: Column) -> str:
    text = quality(delta.difference, column.unit, sign="+")
    if delta.low is None or delta.high is None:
        return text
    low, high = (quality(bound, column.unit, sign="+") for bound in (delta.low, delta.high))
    return f"{text} [{low} {high}]"


def _watt_hours(value: float) -> str:
    return f"{value:.3g} Wh"


def _finite(entry: Entry, column: Column) -> bool:
    value = entry.metrics.get(column.key, {}).get("value")
    return isinstance(value, int | float) and math.isfinite(value)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    if more > 0:
        return f"{', '.join(names[:SHOWN])} and {more} more"
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]

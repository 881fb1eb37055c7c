"""The sentences beneath a table: what is missing and why, and what a figure holds. Called by the table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from lab.compare.entry import Entry
from lab.compare.tasks import metric_name
from lab.compare.trees import at
from lab.jsonio import as_float
from lab.profile.small import is_small
from lab.text import duration, listed, plural

SMALL_SAYS = "Small scale: these rows show that everything works together, and say nothing of the question."


def notes_on(entries: Sequence[Entry], labels: Mapping[str, str]) -> list[str]:
    """Return one sentence for each thing that a reader of the table must know, rows first."""
    own = [f"{labels[entry.id]} {note}." for entry in entries for note in entry.notes]
    remarks = {name: text for entry in entries for name, text in entry.remarks.items()}
    said = [f"{found.label if (found := metric_name(name)) else name}: {text}." for name, text in remarks.items()]
    shown = [*_models(entries, labels), *own, *said, *_unlearnt(entries), *_answers(entries, labels)]
    return [*shown, *_replayed(entries, labels), *_energy(entries, labels), *_memory(entries)]


def _models(entries: Sequence[Entry], labels: Mapping[str, str]) -> list[str]:
    """Name the base models: a row's own name may say another one."""
    found: dict[str, list[str]] = {}
    for entry in entries:
        if entry.model:
            found.setdefault(entry.model, []).append(labels[entry.id])
    if len(found) == 1:
        return [f"Model of all rows: {next(iter(found))}.", *_small(entries)]
    return [*(f"Model: {model} ({listed(rows)})." for model, rows in found.items()), *_small(entries)]


def _small(entries: Sequence[Entry]) -> list[str]:
    return [SMALL_SAYS] if any(is_small(entry.study) for entry in entries) else []


def _unlearnt(entries: Sequence[Entry]) -> list[str]:
    """Name the metrics in which no row does better than answering with another row's reference."""
    floor = next((entry for entry in entries if entry.kind == "floor"), None)
    runs = [entry for entry in entries if entry.trained and entry.metrics]
    if floor is None or not runs:
        return []
    names = [
        found.label if (found := metric_name(name)) else name
        for name, record in floor.metrics.items()
        if not any(above_floor(entry, floor, name) for entry in runs) and record["value"] is not None
    ]
    text = "what they score there is the form of the answers, not the task"
    return [f"No trained row is above the floor in {', '.join(names)}: {text}."] if names else []


def above_floor(entry: Entry, floor: Entry, metric: str) -> bool:
    """Tell whether a row does better in `metric` than answers that belong to other rows."""
    own, other = (as_float(one.metrics.get(metric, {}).get("value")) for one in (entry, floor))
    if own is None or other is None or math.isnan(own) or math.isnan(other):
        return True  # nothing can be said against it
    known = metric_name(metric)
    higher = known is None or known.higher_is_better
    return own > other if higher else own < other


def _replayed(entries: Sequence[Entry], labels: Mapping[str, str]) -> list[str]:
    return [
        f"{labels[entry.id]} did {duration(seconds)} of its steps again after an interruption: "
        "they are in the energy, not in time and tokens/s."
        for entry in entries
        if (seconds := entry.cost.get("replayed_seconds"))
    ]


def _answers(entries: Sequence[Entry], labels: Mapping[str, str]) -> list[str]:
    words = {"cut": "cut at the token limit", "empty": "empty", "failed": "failed"}
    found = []
    for entry in entries:
        parts = [f"{count:,} {text}" for key, text in words.items() if (count := entry.counts.get(key))]
        if parts:
            found.append(f"{labels[entry.id]}: of {plural(entry.counts['rows'], 'answer')} {', '.join(parts)}.")
    return found


def _energy(entries: Sequence[Entry], labels: Mapping[str, str]) -> list[str]:
    trained = [entry for entry in entries if entry.trained and entry.cost.get("train_seconds") is not None]
    lacking = [entry for entry in trained if entry.cost.get("energy_wh") is None]
    without_gpu = [entry for entry in lacking if at(entry.environment, "gpu") is None]
    with_gpu = [entry for entry in lacking if entry not in without_gpu]
    shared = [entry for entry in trained if entry.cost.get("energy_shared")]
    integrated = [entry for entry in trained if entry.cost.get("energy_method") == "integrated"]
    sentences = (
        (without_gpu, "Energy: no GPU, not measured ({})."),
        (with_gpu, "Energy: not measured, or too little of it ({})."),
        (shared, "Energy: other processes used the GPU, and their share is in the figure ({})."),
        (integrated, "Energy: integrated from power samples, for want of a counter ({})."),
    )
    return [text.format(listed([labels[entry.id] for entry in rows])) for rows, text in sentences if rows]


def _memory(entries: Sequence[Entry]) -> list[str]:
    measured = [entry.cost for entry in entries if entry.cost.get("peak_memory_bytes") is not None]
    kinds = dict.fromkeys(str(cost["memory_kind"]) for cost in measured if cost.get("memory_kind"))
    return [f"Memory is the peak of the training phase: {' or '.join(kinds)}."] if kinds else []

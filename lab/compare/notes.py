"""The sentences beneath a table: what is missing and why, and what a figure holds. Called by the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lab.compare.entry import Entry
from lab.compare.tasks import metric_name
from lab.compare.trees import at
from lab.text import listed, plural


def notes_on(entries: Sequence[Entry], labels: Mapping[str, str]) -> list[str]:
    """Return one sentence for each thing that a reader of the table must know, rows first."""
    own = [f"{labels[entry.id]} {note}." for entry in entries for note in entry.notes]
    remarks = {name: text for entry in entries for name, text in entry.remarks.items()}
    said = [f"{found.label if (found := metric_name(name)) else name}: {text}." for name, text in remarks.items()]
    return [*own, *said, *_answers(entries, labels), *_energy(entries, labels), *_memory(entries)]


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

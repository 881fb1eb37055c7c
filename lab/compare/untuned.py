"""The untuned model as a row of any table: without it no gain can be read off. Called by the commands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from lab.compare.entry import Entry, load_entry
from lab.compare.fairness import quality_key
from lab.compare.readings import base_model
from lab.runs.store import RunInfo


def with_untuned(entries: Sequence[Entry], infos: Iterable[RunInfo], axes: Sequence[str] = ()) -> list[Entry]:
    """Return `entries`, with the untuned model before them where they lack it and one of `infos` is it.

    It is a completed baseline of the same base model that answered the same rows in the same way; the first of `infos`
    that fits is taken.
    """
    evaluated = [entry for entry in entries if entry.metrics]
    if not evaluated or any(entry.method == "baseline" for entry in evaluated):
        return [*entries]
    model, key = base_model(evaluated[0]), quality_key(evaluated[0], axes)
    for info in infos:
        if info.text("method") == "baseline" and info.state == "completed":
            found = load_entry(info)
            if found.metrics and base_model(found) == model and quality_key(found, axes) == key:
                note = "is the untuned model on the same rows, added for comparison"
                return [replace(found, notes=(*found.notes, note)), *entries]
    return [*entries]

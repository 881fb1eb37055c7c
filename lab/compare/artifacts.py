"""What was exported from a run, as rows beside it: "what did Q4_K_M cost?". Called by `lab compare` and `lab export`.

An artefact's evaluation lies among the run's own; its spec says `"kind": "artifact"` and names the weights.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lab.compare.cost import COST_KEYS, generation_cost
from lab.compare.entry import Entry, load_entry, scored_metrics
from lab.compare.trees import clean
from lab.jsonio import as_float
from lab.runs.paths import EvaluationPaths, evaluations
from lab.runs.reader import read_json
from lab.runs.store import RunInfo

ARTIFACT = "artifact"


def load_entries(info: RunInfo) -> list[Entry]:
    """Return the run's row, and one for each artefact that was scored, the last exported of each kind."""
    own = load_entry(info)
    newest: dict[str, tuple[EvaluationPaths, dict[str, Any]]] = {}
    for paths in evaluations(info.run):
        spec = clean(read_json(paths.spec) or {})
        if spec.get("kind") == ARTIFACT:
            newest[str(spec.get("weights"))] = (paths, spec)
    return [own, *(_entry(own, weights, *found) for weights, found in newest.items())]


def _entry(own: Entry, weights: str, paths: EvaluationPaths, spec: dict[str, Any]) -> Entry:
    scored = clean(read_json(paths.metrics) or {})
    cost = scored.get("cost") or {}
    size = as_float(spec.get("bytes"))
    return replace(
        own,
        id=f"{own.id}/{weights.replace(' ', '-')}",
        kind=ARTIFACT,
        name=f"{own.name} {weights}",
        metrics=scored_metrics(scored),
        counts=scored.get("counts", {}),
        cost={
            **dict.fromkeys(COST_KEYS),
            **generation_cost(cost),
            "artifact_bytes": None if size is None else int(size),
        },
        spec=spec,
        evaluation=paths,
        notes=_notes(spec),
        remarks=scored.get("notes", {}),
    )


def _notes(spec: dict[str, Any]) -> tuple[str, ...]:
    """Say which types the file's tensors truly have: a K-quant falls back where rows do not fit its blocks."""
    tensors = spec.get("tensors")
    if not isinstance(tensors, dict) or not tensors:
        return ()
    held = ", ".join(f"{count} {name}" for name, count in tensors.items())
    return (f"holds {held}",)

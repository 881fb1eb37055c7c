"""A run as lists show it: what `state.json` and `labels.json` hold, cleaned and flat. Made by `runlist`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.jsonio import as_float
from lab.launching.stop import usable_weights
from lab.runs.paths import RunPaths, complete_checkpoints
from lab.runs.state import LIVE, RESUMABLE
from lab.runs.store import RunInfo
from lab.text import sanitize


@dataclass(frozen=True)
class RunRow:
    """One run as the list shows it. All text is clean.

    Attributes:
        folder: where it lies; the one name that is used to find it again.
        title: its given name, or the row of its study, or its id without the date.
        loss: the last loss; `best` the best validation loss.
        usable: which weights of an ended run can be loaded.
        checkpoint: the step that a resumed run goes on from; 0 is the start.
        spark: losses spread over the whole run, for a curve of one line.
    """

    folder: Path
    id: str
    title: str
    state: str
    alive: bool = False
    detail: str = ""
    profile: str = ""
    method: str = ""
    model: str = ""
    device: str = ""
    study: str = ""
    name: str = ""
    archived: bool = False
    evaluated: bool = False
    tags: tuple[str, ...] = ()
    notes: str = ""
    created: float = 0.0
    updated: float = 0.0
    attempt: int = 1
    step: int = 0
    total: int | None = None
    loss: float | None = None
    best: float | None = None
    metrics: tuple[tuple[str, float], ...] = ()
    energy_wh: float | None = None
    usable: str = ""
    checkpoint: int = 0
    reason: str = ""
    remedy: str = ""
    spark: tuple[float, ...] = ()

    @property
    def run(self) -> RunPaths:
        return RunPaths(self.folder)

    @property
    def live(self) -> bool:
        return self.state in LIVE

    @property
    def share(self) -> float | None:
        """The part of the steps that is done."""
        return min(self.step / self.total, 1.0) if self.total else None


def short_id(run_id: str) -> str:
    """Return an id without its date: `20261122-0110-smollm2-qlora-7f3a` becomes `smollm2-qlora-7f3a`."""
    parts = run_id.split("-", 2)
    dated = len(parts) == 3 and parts[0].isdecimal() and parts[1].isdecimal()
    return parts[2] if dated else run_id


def row_of(info: RunInfo, spark: tuple[float, ...] = ()) -> RunRow:
    """Return the list's row of a run."""
    record, summary = info.record, info.summary
    run_id = sanitize(info.id, newlines=False)
    end = record.get("end") if isinstance(record.get("end"), dict) else {}
    return RunRow(
        folder=info.run.folder,
        id=run_id,
        title=info.labels.name or info.labels.row or short_id(run_id),
        state=sanitize(info.state, newlines=False),
        alive=bool(record.get("alive")),
        detail=info.detail,
        profile=info.text("profile"),
        method=info.text("method"),
        model=info.text("model"),
        device=info.text("device"),
        study=info.labels.study,
        name=info.labels.name,
        archived=info.labels.archived,
        evaluated=info.run.evaluation.is_dir(),
        tags=info.labels.tags,
        notes=info.labels.notes,
        created=as_float(record.get("created")) or 0.0,
        updated=as_float(record.get("updated")) or 0.0,
        attempt=int(as_float(record.get("attempt")) or 1),
        step=int(as_float(record.get("step")) or 0),
        total=_count(record.get("total_steps")),
        loss=as_float(summary.get("last_loss")),
        best=as_float(summary.get("best_eval_loss")),
        metrics=_metrics(summary.get("metrics")),
        energy_wh=_from(summary.get("cost"), "energy_wh"),
        reason=_text(end, "reason"),
        remedy=_text(end, "remedy"),
        usable=_usable(info),
        checkpoint=newest_checkpoint(info.run) if info.state in RESUMABLE else 0,
        spark=spark,
    )


def _usable(info: RunInfo) -> str:
    """Return which weights of a run that has ended can be loaded, as a path in its folder; empty for none."""
    if info.state in LIVE or info.record.get("method") == "baseline":
        return ""
    weights = usable_weights(info.run)
    return sanitize(str(weights.relative_to(info.run.folder)), newlines=False) if weights is not None else ""


def newest_checkpoint(run: RunPaths) -> int:
    """Return the step of the newest complete checkpoint; 0 where there is none."""
    found = complete_checkpoints(run)
    return int(found[-1].name.rpartition("-")[2]) if found else 0


def _count(value: Any) -> int | None:
    number = as_float(value)
    return int(number) if number else None


def _metrics(value: Any) -> tuple[tuple[str, float], ...]:
    items = value.items() if isinstance(value, dict) else ()
    found = ((sanitize(str(k), newlines=False), as_float(v)) for k, v in items)
    return tuple((name, number) for name, number in found if number is not None)


def _from(value: Any, key: str) -> float | None:
    return as_float(value.get(key)) if isinstance(value, dict) else None


def _text(value: Any, key: str) -> str:
    return sanitize(str(value.get(key) or ""), newlines=False) if isinstance(value, dict) else ""

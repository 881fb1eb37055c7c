"""What `lab runs list` and `lab runs show` say of a run, as text. Called by `lab.cli.runs`."""

from __future__ import annotations

import time

from lab.home import runs_root
from lab.jsonio import as_float
from lab.runs.store import RunInfo, folder_bytes
from lab.text import byte_size, duration, number, plural, sanitize


def nothing(count: int, query: str) -> str:
    """Say why the list is empty, and of which folder: the default depends on the working folder."""
    if not count:
        return f"There are no runs in {runs_root()}. Start one: `lab demo --quick`."
    of = f"Of {plural(count, 'run')} in {runs_root()}"
    return f"{of} none fits." if query else f"{of} all are archived: add --archived."


def row(info: RunInfo) -> tuple[str, ...]:
    """Return what the list says of a run, behind its id."""
    total = info.record.get("total_steps")
    step = f"{info.record.get('step', 0)}/{total}" if total else "-"
    loss = number(as_float(info.summary.get("last_loss")))
    labels = (text or "-" for text in (info.labels.study, info.labels.row, info.labels.name))
    return (info.state, step, loss, info.text("method"), *labels)


def facts(info: RunInfo) -> list[str]:
    """Return the lines of `lab runs show`."""
    from lab.launching.stop import usable_weights  # the list does without it

    cost = {key: as_float(value) for key, value in (info.summary.get("cost") or {}).items()}
    metrics = {key: as_float(value) for key, value in (info.summary.get("metrics") or {}).items()}
    last, best = (as_float(info.summary.get(key)) for key in ("last_loss", "best_eval_loss"))
    weights = usable_weights(info.run)
    told = {
        "state": f"{info.state}  {info.detail}".rstrip(),
        **_labels(info),
        "profile": f"{info.text('profile')} ({info.text('method')})",
        "model": info.text("model"),
        "created": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(as_float(info.record.get("created")) or 0)),
        "device": info.text("device") or "-",
        "steps": f"{info.record.get('step', 0)} of {info.record.get('total_steps') or '-'}, "
        f"attempt {info.record.get('attempt', 1)}",
        "loss": f"last {number(last)}  best validation {number(best)}",
        "metrics": "  ".join(f"{key} {number(value)}" for key, value in metrics.items()) or "-",
        "training": f"{duration(cost.get('train_seconds'))}  peak {byte_size(cost.get('peak_memory_bytes'))}"
        f"  energy {number(cost.get('energy_wh'), 2)} Wh",
        "weights": str(weights) if weights else "-",
        "folder": str(info.run.folder),
        "size": f"{byte_size(folder_bytes(info.run.folder))}  of it checkpoints "
        f"{byte_size(folder_bytes(info.run.checkpoints))}",
    }
    end = info.record.get("end") or {}
    if end.get("remedy"):
        told["remedy"] = str(end["remedy"])
    return [info.id, *(f"  {key:<9} {sanitize(value, newlines=False)}" for key, value in told.items())]


def _labels(info: RunInfo) -> dict[str, str]:
    """Return what people and studies say about the run, where they do."""
    labels = info.labels
    told = {
        "name": labels.name,
        "study": " / ".join(part for part in (labels.study, labels.row) if part),
        "tags": ", ".join(labels.tags),
        "notes": labels.notes,
        "archived": "yes" if labels.archived else "",
    }
    return {key: text for key, text in told.items() if text}

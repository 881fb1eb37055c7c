"""What each check of `checks` reads from a row. None: unknown or without meaning there, so not held against it."""

from __future__ import annotations

from typing import Any

from lab.compare.entry import Entry
from lab.compare.trees import at

UNKNOWN = "unknown"


def answered_rows(entry: Entry) -> Any:
    return _known(entry.spec.get("rows_hash") or entry.spec.get("test_hash"))


def template(entry: Entry) -> Any:
    return _known(entry.spec.get("template_hash"))


def decoding(name: str, entry: Entry) -> Any:
    """Return a decoding setting as far as it matters: greedy decoding knows neither nucleus nor seed."""
    settings = entry.spec.get("decoding") or {}
    if name in ("top_p", "seed") and settings.get("temperature") == 0:
        return None
    return _known(settings.get(name))


def weights(entry: Entry) -> Any:
    """Return which weights answered; an artifact's are others on purpose, so it goes for what it was made of."""
    return "as-trained" if entry.kind == "artifact" else _known(entry.spec.get("weights"))


def system_prompt(entry: Entry) -> Any:
    return at(entry.tree, "data.system_prompt")


def trained_with(path: str, entry: Entry) -> Any:
    return at(entry.tree, path) if entry.trained else None


def base_model(entry: Entry) -> Any:
    """Return the base model's name and commit as one text."""
    recorded = entry.environment.get("model") or {}
    name = recorded.get("label") or recorded.get("name") or at(entry.tree, "model.name")
    commit = str(recorded.get("commit") or "")[:8]
    return f"{name} at {commit}" if name and commit else name


def device(entry: Entry) -> Any:
    """Return the GPU's name, or the processor's where there is none, and how many processes trained on them."""
    gpu = at(entry.environment, "gpu.name")
    name = gpu if gpu is not None else at(entry.environment, "host.cpu")
    ranks = at(entry.tree, "launch.gpus") if entry.trained else None
    return f"{ranks} x {name}" if isinstance(ranks, int) and ranks > 1 else name


def threads(entry: Entry) -> Any:
    return None if at(entry.environment, "gpu.name") else entry.environment.get("threads")


def _known(value: Any) -> Any:
    """A row that was evaluated without saying how cannot be shown to be comparable: unknown is a value of its own."""
    return UNKNOWN if value is None else value

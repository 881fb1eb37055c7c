"""What a folder must hold to be a model. Called by `source` before anything loads, and for the hub's local cache."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

# The only names under which transformers looks for weights.
WEIGHT_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)


def missing_part(names: Collection[str]) -> str | None:
    """Return what a model with the files `names` lacks, as words for a message; None where it is complete."""
    if "config.json" not in names:
        if "adapter_config.json" in names:
            return "a model (it is an adapter: name it in model.adapter, and its base model in model.name)"
        return "a config.json"
    if not any(name in names for name in WEIGHT_FILES):
        return "weights (" + " or ".join(name for name in WEIGHT_FILES if not name.endswith(".json")) + ")"
    return None


def missing_in_folder(folder: Path) -> str | None:
    """Return what `folder` lacks to be a model: also a shard that its index names, or weights of no bytes."""
    names = {path.name for path in folder.iterdir()}
    if lack := missing_part(names):
        return lack
    weights = next(name for name in WEIGHT_FILES if name in names)
    needed = _shards(folder / weights) if weights.endswith(".index.json") else {weights}
    absent = sorted(name for name in needed if not _has_bytes(folder / name))
    return f"the weights file {absent[0]}" if absent else None


def _shards(index: Path) -> set[str]:
    try:
        return set(json.loads(index.read_bytes())["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError):
        return {f"named in a readable {index.name}"}


def _has_bytes(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0

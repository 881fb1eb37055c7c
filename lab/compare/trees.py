"""Reading nested JSON and TOML data: paths into it, and cleaning what came from outside. Called within `compare`."""

from __future__ import annotations

from typing import Any

from lab.text import sanitize


def at(tree: Any, path: str) -> Any:
    """Return the value at a dotted path of nested objects; None where there is none."""
    for part in path.split("."):
        tree = tree.get(part) if isinstance(tree, dict) else None
    return tree


def covers(key: str, below: str) -> bool:
    """Tell whether `below` is `key` itself or lies under it: data covers data.seed."""
    return below == key or below.startswith(key + ".")


def clean(value: Any) -> Any:
    """Return JSON data with every text in it sanitised, keys too."""
    if isinstance(value, str):
        return sanitize(value)
    if isinstance(value, dict):
        return {sanitize(str(key), newlines=False): clean(item) for key, item in value.items()}
    return [clean(item) for item in value] if isinstance(value, list) else value

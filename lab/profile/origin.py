"""Where each value of a profile came from: default, parent, file or flag, with file and line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_HEADER = re.compile(r"^\s*(\[\[?)\s*([A-Za-z0-9_.\-\"' ]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"^\s*([A-Za-z0-9_\-.\"']+)\s*=")


@dataclass(frozen=True)
class Origin:
    """What set a value. `file` and `line` are empty for defaults and flags."""

    layer: str
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        place = f" {self.file}" + (f":{self.line}" if self.line else "") if self.file else ""
        return f"{self.layer}{place}"

    def as_json(self) -> dict[str, Any]:
        return {"layer": self.layer, "file": self.file or None, "line": self.line or None}


def leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (key path, value) for every value of a tree; tables in arrays are numbered: `data.source.0.name`."""
    if isinstance(tree, dict) and tree:
        for key, value in tree.items():
            yield from leaves(value, f"{path}.{key}" if path else str(key))
    elif isinstance(tree, list) and tree and all(isinstance(item, dict) for item in tree):
        for index, item in enumerate(tree):
            yield from leaves(item, f"{path}.{index}")
    else:
        yield path, tree


def key_lines(text: str) -> dict[str, int]:
    """Return the line number of each key path in TOML `text`, by a scan of headers and `key =` lines.

    Keys within inline tables and multi-line values get no line of their own; their parent's is used instead.
    """
    lines: dict[str, int] = {}
    counts: dict[str, int] = {}
    prefix = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            name = _plain(header[2])
            if header[1] == "[[":
                counts[name] = counts.get(name, -1) + 1
                name = f"{name}.{counts[name]}"
            prefix = name + "."
            lines.setdefault(name, number)
        elif key := _KEY.match(line):
            lines.setdefault(prefix + _plain(key[1]), number)
    return lines


def _plain(key: str) -> str:
    return re.sub(r"[\"' ]", "", key)


def line_of(lines: dict[str, int], path: str) -> int:
    """Return the line of `path` or of its nearest parent; 0 where the scan saw none."""
    while path:
        if path in lines:
            return lines[path]
        path = path.rpartition(".")[0]
    return 0


def file_origins(tree: dict[str, Any], text: str, file: Path, layer: str) -> dict[str, Origin]:
    """Return the origin of every value that the TOML `text` of `file` sets."""
    lines = key_lines(text)
    return {path: Origin(layer, file.name, line_of(lines, path)) for path, _ in leaves(tree)}

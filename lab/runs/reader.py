"""Reading JSON-lines files that somebody may be writing: new bytes only, whole lines only, bounded work a call."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHUNK = 1 << 20


class Tail:
    """Follows one append-only file by byte offset.

    Attributes:
        offset: bytes consumed so far; bytes before it are never read again.
        skipped: lines that were no JSON object (a torn line of a killed writer); counted, not fatal.
    """

    def __init__(self, path: Path, offset: int = 0) -> None:
        self.path = path
        self.offset = offset
        self.skipped = 0
        self._rest = b""

    def read(self, limit: int = CHUNK) -> list[dict[str, Any]]:
        """Return the objects of the lines completed since the last call, reading at most `limit` bytes.

        An empty list means that nothing new is there (or only the first half of a line, which is kept for later).
        """
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                data = file.read(limit)
        except FileNotFoundError:
            return []
        self.offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [record for line in lines if line and (record := self._parse(line)) is not None]

    def _parse(self, line: bytes) -> dict[str, Any] | None:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            self.skipped += 1
            return None
        return record


def read_all(path: Path) -> Iterator[dict[str, Any]]:
    """Yield every whole object of the file at `path`, in order; a missing file has none."""
    tail = Tail(path)
    while True:
        before = tail.offset
        yield from tail.read()
        if tail.offset == before:
            return


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the object in a JSON file that is replaced atomically; None where it is missing or no object."""
    try:
        value = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return value if isinstance(value, dict) else None

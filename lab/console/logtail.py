"""The end of a run's `worker.log`, cleaned. Called by the feed's thread for the log peek."""

from __future__ import annotations

import os
from pathlib import Path

from lab.text import sanitize

LAST_BYTES = 1 << 16
LINES = 400


def last_lines(path: Path, count: int = LINES) -> tuple[str, ...]:
    """Return the last `count` lines of the file, reading at most 64 KiB; none where it is missing."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - LAST_BYTES))
            data = file.read(LAST_BYTES)
    except OSError:
        return ()
    text = sanitize(data.decode("utf-8", "replace")).expandtabs(8)
    lines = text.rstrip("\n").split("\n") if text.strip() else []
    return tuple((lines[1:] if size > LAST_BYTES else lines)[-count:])

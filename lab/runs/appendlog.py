"""An append-only JSON-lines file with one writer: events, telemetry, generations."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

from lab import jsonio
from lab.errors import OutOfSpaceError


class AppendLog:
    """Appends one JSON object a line; each line is one `write`, so a reader sees whole lines or a torn last one.

    Opening mends the torn last line of a writer that was killed: the line is closed, so that readers can skip it and
    what follows stands on lines of its own. Child processes do not inherit the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._cut = False
        self._handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if _torn(path):
            self._write(b"\n")

    def append(self, record: dict[str, Any]) -> None:
        """Write `record` as one line.

        Raises:
            OutOfSpaceError: the disk is full; a part of the line may stand, and is closed before the next one.
        """
        self._write(jsonio.dumps(record).encode("utf-8", "replace") + b"\n")

    def _write(self, data: bytes) -> None:
        if self._cut:
            data = b"\n" + data
        try:
            while data:  # more than once only where the disk fills up within the line
                data = data[os.write(self._handle, data) :]
                self._cut = bool(data)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise OutOfSpaceError(
                    f"No space is left to write {self.path}.", "Free some, for example with `lab runs prune`."
                ) from error
            raise

    def close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def _torn(path: Path) -> bool:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size == 0:
            return False
        file.seek(size - 1)
        return file.read(1) != b"\n"

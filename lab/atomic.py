"""Writing files so that a reader sees the old content or the new, never half of it."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from typing import Any

from lab import jsonio
from lab.errors import OutOfSpaceError


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text` (UTF-8, mode 0600) through a temporary file in the same folder.

    Raises:
        OutOfSpaceError: the disk is full or the folder refuses writing; the old content stays.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise _as_lab_error(path, error) from error
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
        Path(name).replace(path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise _as_lab_error(path, error) from error


def write_json(path: Path, value: Any) -> None:
    """Replace `path` by `value` as indented JSON. Raises what `write_text` raises."""
    write_text(path, jsonio.dumps(value, indent=1) + "\n")


def _as_lab_error(path: Path, error: OSError) -> OutOfSpaceError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutOfSpaceError(f"No space is left to write {path}.", "Free some, for example with `lab runs prune`.")
    return OutOfSpaceError(f"{path} cannot be written ({error.strerror}).", "Check the folder's owner and mode.")

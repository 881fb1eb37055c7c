"""Writing an export so that its folder is there whole or not at all. Called by `merge` and `gguf` exports."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from lab.errors import OutOfSpaceError, RunStateError, UsageError
from lab.runs import lock
from lab.text import byte_size

SPARE_BYTES = 64_000_000
"""Room beside the weights: tokenizer, configuration, parity figures."""


def check_target(target: Path) -> None:
    """Refuse a folder that holds something already, or that cannot be made. Raises UsageError, OutOfSpaceError."""
    if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
        raise UsageError(f"{target} exists already.", "Give another folder with -o, or remove it.")
    parent = nearest(target)
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OutOfSpaceError(f"{parent} may not be written.", "Give another folder with -o.")


def check_room(target: Path, needed: int) -> None:
    """Refuse to begin what would not fit. Raises OutOfSpaceError."""
    free = shutil.disk_usage(nearest(target)).free
    if free < needed + SPARE_BYTES:
        raise OutOfSpaceError(
            f"The export takes {byte_size(needed + SPARE_BYTES)}, but {byte_size(free)} are free at {target}.",
            "Free some, or give a folder on another disk with -o.",
        )


def nearest(target: Path) -> Path:
    """Return the nearest folder above `target` that exists."""
    return next(folder for folder in target.absolute().parents if folder.is_dir())


@contextlib.contextmanager
def staged(target: Path) -> Iterator[Path]:
    """Give a folder beside `target` to write into; it takes the target's name when all went well, else it goes.

    What a killed export left there is thrown away by the next one.

    Raises:
        RunStateError: another export writes to the same target now.
        UsageError: the target came into being meanwhile.
    """
    check_target(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    part.mkdir(mode=0o700, exist_ok=True)
    handle = _own(part, target)
    try:
        _empty(part)
        yield part
        check_target(target)
        _publish(part, target)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    finally:
        os.close(handle)


def _own(part: Path, target: Path) -> int:
    try:
        return lock.acquire(part / "lock", wait=0)
    except RunStateError as error:
        raise RunStateError(f"Another export writes {target} now.", "Wait for it, or give another -o.") from error


def _empty(part: Path) -> None:
    for path in part.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != "lock":
            path.unlink()


def _publish(part: Path, target: Path) -> None:
    """Bring every byte to the disk, then give the folder its name: a crash cannot leave a whole-looking half."""
    for path in part.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    (part / "lock").unlink()
    part.chmod(0o755)
    part.replace(target)  # an empty folder of that name gives way

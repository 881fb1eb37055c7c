"""Where the lab keeps things: runs under `$LAB_HOME`, caches under the XDG cache home, profiles on a search path."""

from __future__ import annotations

import os
from pathlib import Path

import lab
from lab.errors import OutOfSpaceError, UsageError


def lab_home() -> Path:
    """Return `$LAB_HOME`, by default `./.lab`, as an absolute path; it need not exist."""
    return Path(os.environ.get("LAB_HOME") or ".lab").expanduser().absolute()


def runs_root(*, create: bool = False) -> Path:
    """Return the folder that holds the runs.

    Args:
        create: make it (mode 0700) where it is missing.

    Raises:
        OutOfSpaceError: it cannot be made or written.
        UsageError: where it should be read, a file stands in its way.
    """
    root = lab_home() / "runs"
    if create:
        make_private(root)
        if not os.access(root, os.W_OK | os.X_OK):
            raise _not_writable(root)
    else:
        _refuse_file(root)
    return root


def _refuse_file(folder: Path) -> None:
    """Refuse a folder that is a file or lies beneath one: it would look as empty as one that is not made yet."""
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if not nearest.is_dir():
        raise UsageError(f"LAB_HOME is {lab_home()}, and {nearest} is a file.", "Set LAB_HOME to a folder.")


def make_private(folder: Path) -> Path:
    """Make `folder` and its missing parents with mode 0700. Raises OutOfSpaceError where that is refused."""
    try:
        missing = [p for p in (folder, *folder.parents) if not p.exists()]
        for part in reversed(missing):
            part.mkdir(mode=0o700, exist_ok=True)
        if not folder.is_dir():
            raise NotADirectoryError
    except OSError as error:
        raise _not_writable(folder) from error
    return folder


def _not_writable(folder: Path) -> OutOfSpaceError:
    return OutOfSpaceError(
        f"The folder {folder} cannot be written.", "Set LAB_HOME (or XDG_CACHE_HOME for caches) to one that can."
    )


def cache_root() -> Path:
    """Return the folder for what can be made again: converted models, prepared data."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().absolute() / "lora-lab"


def packed_profiles() -> Path:
    """Return the profiles that ship with the lab: inside the wheel, or beside the package in a checkout."""
    package = Path(lab.__file__).parent
    inside = package / "_profiles"
    return inside if inside.is_dir() else package.parent / "profiles"


def profile_roots() -> list[Path]:
    """Return the folders in which a profile's name is looked up, first hit wins."""
    roots = [Path("profiles").absolute()]
    if extra := os.environ.get("LAB_PROFILES"):
        roots += [Path(part).expanduser().absolute() for part in extra.split(os.pathsep) if part]
    roots.append(packed_profiles())
    return list(dict.fromkeys(roots))

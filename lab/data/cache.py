"""Prepared data kept in the cache home, by a hash of everything that it depends on. Called by `prepare`.

A cache is an extra: where it cannot be written, or an entry is broken, the data is prepared again. One process prepares
an entry, others wait for it. Entries are private, for they hold the user's rows.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path

import lab
from lab.data.pack import Parts, pack, unpack
from lab.data.sources import file_of, source_kind
from lab.data.template import Template
from lab.errors import OutOfSpaceError
from lab.home import cache_root, make_private
from lab.profile.schema import Data, Source

MIN_ROWS = 2000
"""Rows from which on an entry is kept: fewer are prepared in no time."""

ENTRIES = 20
"""Entries that are kept, those used last."""

UNFINISHED = ".unfinished-"
UNFINISHED_SECONDS = 3600
"""Age at which a file that was never finished is taken for left behind."""

BROKEN = (OSError, ValueError, KeyError, TypeError, IndexError, EOFError, zipfile.BadZipFile, zlib.error)
"""What reading a damaged entry raises."""


def cache_key(data: Data, commits: Sequence[str | None], required: Sequence[str], template: Template) -> str | None:
    """Return the name of the entry; None for data that cannot be told from other data, which is never kept.

    It is a hash of the contents of files and the commits of hub sets, of `data.*`, the splits that must have rows, the
    tokenizer, the template, the code of the lab that prepares data, and the versions of the libraries.
    """
    if not template.tokenizer.is_fast or template.tokenizer.backend_tokenizer is None:
        return None
    contents = [_content(source, commit) for source, commit in zip(data.source, commits, strict=True)]
    if None in contents:
        return None
    parts = {
        "contents": contents,
        "data": data.model_dump(),
        "required": list(required),
        "tokenizer": hashlib.sha256(template.tokenizer.backend_tokenizer.to_str().encode()).hexdigest(),
        "special": sorted(template.tokenizer.all_special_tokens),
        "ends": [template.tokenizer.bos_token, template.tokenizer.eos_token],
        "template": template.text,
        "code": _code(),
        "libraries": [version(name) for name in ("tokenizers", "transformers", "datasets")],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def cached(key: str | None, make: Callable[[], Parts]) -> Parts:
    """Return the entry of this key; where there is none, what `make` returns, which is kept if it is large enough."""
    if key is None:
        return make()
    folder = cache_root() / "prepared"
    with _locked(folder, key) as usable:
        return (_found(folder, key) or _kept(folder, key, make())) if usable else make()


@contextmanager
def _locked(folder: Path, key: str) -> Iterator[bool]:
    """Hold the entry's lock file and tell whether that went well; it is never deleted, or two could each lock one."""
    try:
        path = make_private(folder) / f"{key[:2]}.lock"  # shared by few entries, so that lock files do not pile up
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except (OSError, OutOfSpaceError):
        yield False
        return
    try:
        yield _lock(handle)
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError:  # a file system without locks
        return False
    return True


def _found(folder: Path, key: str) -> Parts | None:
    import numpy

    path = folder / f"{key}.npz"
    try:
        with path.open("rb") as file, numpy.load(file, allow_pickle=False) as arrays:
            parts = unpack({name: arrays[name] for name in arrays.files}, key)
        os.utime(path)
    except BROKEN:
        return None
    return parts


def _kept(folder: Path, key: str, parts: Parts) -> Parts:
    if len(parts.train) + len(parts.validation) + len(parts.test) >= MIN_ROWS:
        with suppress(OSError):  # a full disk: the run itself says so where it matters
            _tidy(folder)
            _write(folder / f"{key}.npz", parts, key)
    return parts


def _write(path: Path, parts: Parts, key: str) -> None:
    import numpy

    handle, name = tempfile.mkstemp(dir=path.parent, prefix=UNFINISHED)
    try:
        with os.fdopen(handle, "wb") as file:
            numpy.savez(file, **pack(parts, key))
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _tidy(folder: Path) -> None:
    """Make room for one more entry, and remove what a killed process left half written."""
    entries = sorted(folder.glob("*.npz"), key=lambda path: path.stat().st_mtime, reverse=True)
    old = time.time() - UNFINISHED_SECONDS
    left = [path for path in folder.glob(f"{UNFINISHED}*") if path.stat().st_mtime < old]
    for path in [*entries[ENTRIES - 1 :], *left]:
        path.unlink(missing_ok=True)


def _content(source: Source, commit: str | None) -> str | None:
    """Return what tells the rows of a source from any others; those of a bundled set are code of the lab."""
    where = source_kind(source)
    if where != "file":
        return "code" if where == "bundled" else commit
    with file_of(source).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def _code() -> str:
    """Return a hash of the code that prepares data."""
    package = Path(lab.__file__).parent
    files = sorted([*package.glob("data/**/*.py"), package / "text.py", package / "jsonio.py"])
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()

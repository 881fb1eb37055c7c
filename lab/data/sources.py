"""Where raw rows come from: a bundled set, a local file, the hub.

The front calls `check_sources` before it launches anything; `read` fetches the rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from lab.data import helpdesk
from lab.data.columns import shown
from lab.data.files import READERS, read_file
from lab.data.hub import dataset_commit, read_hub
from lab.errors import DataError, NotFoundError
from lab.profile.schema import Data, Source
from lab.text import did_you_mean

PREFIX = "bundled:"
BUNDLED: dict[str, Callable[[str], list[dict[str, Any]]]] = {"helpdesk": helpdesk.rows}
"""Bundled sets by name, each a function from a split to raw rows in the `messages` format."""

HUB_ID = re.compile(r"(?:\w[\w.-]*/)?\w[\w.-]*", re.ASCII)

SourceKind = Literal["bundled", "file", "hub"]


def source_kind(source: Source) -> SourceKind:
    """Tell what a source's name stands for: what exists here or looks like a path is a file."""
    name = source.name
    if name.startswith(PREFIX):
        return "bundled"
    looks_like_path = name.startswith(("./", "../", "/", "~")) or _has_suffix(name)
    return "file" if looks_like_path or _exists(_path(name)) else "hub"


def _has_suffix(name: str) -> bool:
    """Tell whether a name ends as a file's does; that of a data file may be misspelt."""
    suffix = Path(name).suffix.lower()
    if "/" not in name and suffix[1:].isalpha():  # the hub's few names without an owner have no such end
        return True
    return suffix in READERS or (suffix[1:].isalpha() and bool(did_you_mean(suffix, READERS)))


def check_sources(data: Data) -> None:
    """Refuse what cannot be read, without network or heavy imports.

    Raises:
        NotFoundError: no such file, template or bundled set.
        DataError: an empty file, an extension that nothing reads, a key that means nothing for its source.
    """
    for index, source in enumerate(data.source):
        _CHECKS[source_kind(source)](index, source)
    if data.template != "auto" and not _path(data.template).is_file():
        remedy = 'Set data.template to a Jinja file, or to "auto".'
        raise NotFoundError(f"There is no template file '{shown(data.template)}'.", remedy)


def raw_rows(index: int, source: Source, split: str, *, seed: int = 0, commit: str | None = None) -> list[Any]:
    """Return all raw rows of a source, for a bundled set those of its own `split`.

    Args:
        seed: of the rows that are taken from a hub set which is only streamed.
        commit: of a hub set, where it is known.

    Raises:
        LabError: what `check_sources`, `files.read_file` and `hub.read_hub` raise.
    """
    where = source_kind(source)
    if where == "bundled":
        return list(BUNDLED[source.name.removeprefix(PREFIX)](split))
    return read_file(file_of(source)) if where == "file" else read_hub(index, source, seed, commit)


def commits_of(data: Data) -> list[str | None]:
    """Return for each source the commit that is to be read: None for what is no hub set, or where the hub is silent.

    Raises:
        LabError: what `check_sources` raises.
    """
    check_sources(data)
    return [dataset_commit(source) if source_kind(source) == "hub" else None for source in data.source]


def file_of(source: Source) -> Path:
    """Return the path of a source that is a file."""
    return _path(source.name)


def labels(sources: Sequence[Source]) -> list[str]:
    """Return a short name for each source, unique among them: the start of its rows' ids."""
    short = [shown(source.name.rstrip("/").rpartition("/")[2].removeprefix(PREFIX)) for source in sources]
    return [name if short.count(name) == 1 else f"{name}.{index}" for index, name in enumerate(short)]


def _check_bundled(index: int, source: Source) -> None:
    name = source.name.removeprefix(PREFIX)
    if name not in BUNDLED:
        known = ", ".join(f'"{PREFIX}{key}"' for key in BUNDLED)
        raise NotFoundError(
            f"There is no bundled data set '{shown(name)}'.{did_you_mean(name, BUNDLED)}",
            f"Set data.source.{index}.name to one of: {known}.",
        )
    _refuse_keys(index, source, ("config", "split", "revision", "columns", "stream"), "a bundled data set")
    if source.format not in ("auto", "messages"):
        problem = f'A bundled data set has the format "messages", not "{source.format}".'
        raise DataError(problem, f"Remove data.source.{index}.format.")


def _check_file(index: int, source: Source) -> None:
    path, name = _path(source.name), shown(source.name)
    if not _exists(path):
        raise NotFoundError(f"There is no data file '{name}'.{_near(path)}", f"Check data.source.{index}.name.")
    if path.is_dir():
        raise DataError(f"'{name}' is a folder.", f"Set data.source.{index}.name to one file in it.")
    if path.suffix.lower() not in READERS:
        known = ", ".join(READERS)
        raise DataError(f"'{name}' has an extension that the lab does not read.", f"Rename or convert it: {known}.")
    if path.stat().st_size == 0:
        raise DataError(f"'{name}' is empty.", f"Set data.source.{index}.name to a file with rows.")
    _refuse_keys(index, source, ("config", "split", "revision", "stream"), "a local file")


def _check_hub(index: int, source: Source) -> None:
    if source.name in BUNDLED:
        problem = f"The bundled data set '{source.name}' needs its prefix."
        raise NotFoundError(problem, f'Set data.source.{index}.name to "{PREFIX}{source.name}".')
    if not HUB_ID.fullmatch(source.name):
        problem = f"'{shown(source.name)}' is neither a file nor the name of a hub data set."
        raise DataError(problem, f'Set data.source.{index}.name to "owner/name", a file, or "{PREFIX}helpdesk".')


_CHECKS: dict[SourceKind, Callable[[int, Source], None]] = {
    "bundled": _check_bundled,
    "file": _check_file,
    "hub": _check_hub,
}


def _refuse_keys(index: int, source: Source, keys: Sequence[str], what: str) -> None:
    """Refuse keys that would be ignored."""
    for key in keys:
        if getattr(source, key) != Source.model_fields[key].get_default(call_default_factory=True):
            value = shown(str(getattr(source, key)))
            problem = f"data.source.{index}.{key} = {value} means nothing for {what}."
            raise DataError(problem, "Remove that key.")


def _near(path: Path) -> str:
    folder = path.parent
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    return did_you_mean(path.name, [shown(name) for name in names])


def _path(name: str) -> Path:
    return Path(name).expanduser() if name == "~" or name.startswith("~/") else Path(name)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name too long for a file, or a folder that may not be entered
        return False

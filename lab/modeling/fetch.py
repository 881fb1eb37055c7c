"""Downloading a model beforehand, whole, and only what is needed of it. Called by `lab fetch`."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lab.errors import NotFoundError, OutOfSpaceError
from lab.modeling.folder import missing_in_folder
from lab.modeling.hub import hub_error
from lab.modeling.source import ModelSource
from lab.text import byte_size, plural, sanitize

TEXTS = ("*.json", "*.txt", "*.model", "*.jinja", "tokenizer*")
CODE = ("*.py",)
SAFETENSORS, PICKLED = "*.safetensors", "pytorch_model*.bin"
# Folders hold other formats (onnx, original), and consolidated files the same weights a second time.
LEFT_OUT = ["*/*", "consolidated*"]

Progress = Callable[[str], None]


def fetch_model(source: ModelSource, *, code: bool = False, progress: Progress = lambda line: None) -> Path:
    """Return the folder that holds the model, downloading what a hub model lacks; a broken download is gone on with.

    Args:
        code: the model's own Python files too.
        progress: is told how much there is to download.

    Raises:
        NotFoundError: the hub refuses, or it cannot be reached and something is missing.
        OutOfSpaceError: the disk has no room.
    """
    if source.kind != "hub":
        return Path(source.path_or_id)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    texts = [*TEXTS, *(CODE if code else ())]
    try:
        patterns = _wanted(source, texts, progress)
        folder = Path(snapshot_download(source.path_or_id, **_selection(source, patterns)))
    except HfHubHTTPError as error:
        raise hub_error(error, source.path_or_id, source.revision or "main") from error
    except LocalEntryNotFoundError as error:
        raise _incomplete(source, "what the hub did not give") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _no_space("") from error
        raise
    if lack := missing_in_folder(folder):
        raise _incomplete(source, lack)
    return folder


def _selection(source: ModelSource, patterns: Sequence[str]) -> dict[str, Any]:
    return {"revision": source.load_revision, "allow_patterns": list(patterns), "ignore_patterns": LEFT_OUT}


def _wanted(source: ModelSource, texts: Sequence[str], progress: Progress) -> list[str]:
    """Ask the hub what there is and return the patterns to download: safetensors, and pickled weights only for want.

    Raises:
        OutOfSpaceError: it would not fit.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import DryRunError
    from huggingface_hub.utils.tqdm import tqdm

    every = [*texts, SAFETENSORS, PICKLED]
    silent: Any = partial(tqdm, disable=True)
    try:
        files = snapshot_download(source.path_or_id, dry_run=True, tqdm_class=silent, **_selection(source, every))
    except DryRunError:  # the hub is out of reach: what is in the cache will do, or be refused
        return [*texts, SAFETENSORS]
    pickled = not any(file.filename.endswith(".safetensors") for file in files)
    chosen = [file for file in files if pickled or not file.filename.endswith(".bin")]
    missing = [file for file in chosen if file.will_download]
    if missing:
        size = sum(file.file_size or 0 for file in missing)
        _check_room(Path(missing[0].local_path), size)
        progress(f"downloading {plural(len(missing), 'file')}, {byte_size(size)}")
    return [*texts, PICKLED if pickled else SAFETENSORS]


def _check_room(place: Path, needed: int) -> None:
    folder = next(part for part in place.absolute().parents if part.exists())
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise _no_space(f": {byte_size(needed)} are missing, {byte_size(free)} are free on the disk of {folder}")


def _no_space(more: str) -> OutOfSpaceError:
    return OutOfSpaceError(
        f"The hub's cache has no room for the model{more}.", "Free some, or set HF_HOME to a folder on a larger disk."
    )


def _incomplete(source: ModelSource, lack: str) -> NotFoundError:
    name = sanitize(source.path_or_id, newlines=False)
    return NotFoundError(
        f"The download of {name} is not whole: it lacks {lack}.", "Run `lab fetch` again where the hub can be reached."
    )

"""Raw rows of a data set on the Hugging Face hub, and its errors in the lab's words. Called by `sources`."""

from __future__ import annotations

import os
import re
from typing import Any

from lab.errors import DataError, LabError, NotFoundError
from lab.profile.schema import Source
from lab.text import did_you_mean, sanitize

STREAM_BUFFER = 10_000
"""Rows among which a streamed one is drawn."""

TIMEOUT_SECONDS = 10.0

COMMIT = re.compile(r"[0-9a-f]{40}")


def read_hub(index: int, source: Source, seed: int = 0, commit: str | None = None) -> list[Any]:
    """Return all rows of the split that the source names; the hub's own cache serves what was fetched before.

    Of a set that is only streamed, `source.stream` rows: its files in an order by `seed`, several at a time, and rows
    drawn from a buffer of `STREAM_BUFFER`. Files that are not come to are not downloaded.

    Args:
        index: the source's place in `data.source`, for messages.
        commit: what the revision stands for, where it is known.

    Raises:
        NotFoundError: no such data set or revision, or a gated one.
        DataError: no such configuration or split, or nothing that can be read.
        LabError: the hub cannot be reached, or a download breaks off.
    """
    import datasets
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # httpx's or httpx2's

    options: dict[str, Any] = {"split": source.split, "revision": commit or source.revision}
    try:
        if source.stream:
            options["streaming"] = True
        loaded = datasets.load_dataset(source.name, source.config or None, **options)
        rows: list[Any] = _taken(loaded, source.stream, seed) if source.stream else loaded.to_list()
    except (OSError, ValueError, RuntimeError, HTTPError, datasets.exceptions.DatasetsError) as error:
        raise explain(error, index, source) from error
    if not rows:
        raise DataError(f"{source.name} has no rows in split '{source.split}'.", f"Set data.source.{index}.split.")
    return rows


def _taken(stream: Any, count: int, seed: int) -> list[Any]:
    return list(stream.shuffle(seed=seed, buffer_size=min(count, STREAM_BUFFER)).take(count))


def dataset_commit(source: Source) -> str | None:
    """Return the commit that a hub data set's revision stands for now; None where the hub does not say."""
    from huggingface_hub import HfApi, is_offline_mode
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # httpx's or httpx2's

    if COMMIT.fullmatch(source.revision):
        return source.revision
    if is_offline_mode():
        return None
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None)
    try:
        return api.dataset_info(source.name, revision=source.revision, timeout=TIMEOUT_SECONDS).sha
    except (HTTPError, ValueError):  # reading the rows tells what is wrong, or takes them from the cache
        return None


def explain(error: Exception, index: int, source: Source) -> LabError:
    """Return the two sentences for what `datasets.load_dataset` raised."""
    words = sanitize(str(error), newlines=False, limit=300)
    page = f"https://huggingface.co/datasets/{source.name}"
    if isinstance(error, ConnectionError) or "LocalEntryNotFoundError" in words:
        remedy = f"Go online and run `lab fetch`, or set data.source.{index}.name to a local file."
        return LabError(f"The data set {source.name} is not on this machine and the hub cannot be reached.", remedy)
    if "gated" in words:
        remedy = f"Ask for access on {page} and set HF_TOKEN to a token of that account."
        return NotFoundError(f"The data set {source.name} is gated.", remedy)
    if "Revision" in words and "doesn't exist" in words:
        problem = f"The data set {source.name} has no revision '{source.revision}'."
        return NotFoundError(problem, f"Set data.source.{index}.revision to a branch, tag or commit from {page}.")
    if type(error).__name__ == "DatasetNotFoundError" or "401 Unauthorized" in words:
        problem = f"There is no data set {source.name} on the hub, or it is private."
        return NotFoundError(problem, f"Check data.source.{index}.name, or set HF_TOKEN to a token that may read it.")
    return _choice(words, index, source) or _unreadable(words, index, source)


def _choice(words: str, index: int, source: Source) -> DataError | None:
    """Explain a configuration or split that is not among those of the data set."""
    if "Config name is missing" in words:
        key, value, problem = "config", "", "has several configurations"
    elif "BuilderConfig" in words and "not found" in words:
        key, value, problem = "config", source.config, f"has no configuration '{source.config}'"
    elif "Unknown split" in words:
        key, value, problem = "split", source.split, f"has no split '{source.split}'"
    else:
        return None
    listed = re.search(r"\[([^\]]*)\]", words)
    options = re.findall(r"'([^']*)'", listed.group(1)) if listed else []
    return DataError(
        f"The data set {source.name} {problem}.{did_you_mean(value, options)}",
        f"Set data.source.{index}.{key} to one of: {', '.join(options) or 'see its page'}.",
    )


def _unreadable(words: str, index: int, source: Source) -> DataError:
    problem = f"The data set {source.name} cannot be loaded ({words.rstrip('.')})."
    return DataError(problem, f"Download it as JSONL, CSV or Parquet and name that file in data.source.{index}.name.")

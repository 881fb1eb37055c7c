"""Reading a profile's data beforehand, so that the hub's cache holds it. Called by `lab fetch`."""

from __future__ import annotations

import os
from typing import Any

from lab.data.columns import shown
from lab.data.read import read_rows
from lab.data.sources import source_kind
from lab.profile.schema import Data, Source

TIMEOUT_SECONDS = 10.0


def fetch_data(data: Data) -> list[dict[str, Any]]:
    """Read the rows of every source once; return name, kind, rows read and, of a hub data set, its commit.

    Raises:
        LabError: what `read_rows` raises.
    """
    drawn = read_rows(data)
    kinds = [source_kind(source) for source in data.source]
    return [
        {
            "name": shown(source.name),
            "kind": kind,
            "rows": tally.read,
            "commit": dataset_commit(source) if kind == "hub" else None,
        }
        for source, kind, tally in zip(data.source, kinds, drawn.tallies, strict=True)
    ]


def dataset_commit(source: Source) -> str | None:
    """Return the commit that a hub data set's revision stands for now; None where the hub does not say."""
    from huggingface_hub import HfApi, is_offline_mode
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # httpx's or httpx2's

    if is_offline_mode():
        return None
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None)
    try:
        return api.dataset_info(source.name, revision=source.revision, timeout=TIMEOUT_SECONDS).sha
    except HTTPError:  # the rows are here already: the commit is only for the record
        return None

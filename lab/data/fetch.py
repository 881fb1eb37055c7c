"""Reading a profile's data beforehand, so that the hub's cache holds it. Called by `lab fetch`."""

from __future__ import annotations

from typing import Any

from lab.data.columns import shown
from lab.data.read import read_rows
from lab.data.sources import commits_of, source_kind
from lab.profile.schema import Data


def fetch_data(data: Data) -> list[dict[str, Any]]:
    """Read the rows of every source once; return name, kind, rows read and, of a hub data set, its commit.

    Raises:
        LabError: what `read_rows` raises.
    """
    drawn = read_rows(data, commits_of(data))
    kinds = [source_kind(source) for source in data.source]
    return [
        {"name": shown(source.name), "kind": kind, "rows": tally.read, "commit": tally.commit}
        for source, kind, tally in zip(data.source, kinds, drawn.tallies, strict=True)
    ]

"""A run folder with a state, as the launcher leaves it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab import atomic
from lab.runs.paths import RunPaths

Make = Callable[..., RunPaths]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a function that makes `runs/<id>` with a `state.json` of the given fields."""

    def run(name: str = "20270115-0800-lora-7f3a", **fields: Any) -> RunPaths:
        paths = RunPaths(tmp_path / "runs" / name)
        paths.folder.mkdir(parents=True)
        atomic.write_json(paths.state, {"schema": 1, "id": name, "state": "queued", "attempt": 1, **fields})
        return paths

    return run

"""A home of its own with a tiny model, finished runs over it, and exports in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.profile.load import load_profile
from lab.runs.paths import RunPaths
from tests.fixtures.tiny_families import save_family
from tests.fixtures.untrained import finish, job, untrained, write_rows

Export = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the model `model` and its rows."""
    folder = tmp_path_factory.mktemp("tiny")
    save_family(folder / "model", "smollm2")
    write_rows(folder)
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAB_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def finished(home: Path, tiny: Path) -> Callable[..., RunPaths]:
    """Return a function that makes a finished run of the tiny model under --set values."""

    def make(*sets: str, folder: Path = tiny, state: str = "completed") -> RunPaths:
        return finish(home / "runs", untrained(folder, *sets), state=state)

    return make


@pytest.fixture
def export() -> Export:
    """Return a function that makes an export in this process; what `exported.json` says comes back."""
    from lab.exporting.job import export as run_export
    from lab.runs.reader import read_json

    def make(owner: RunPaths, target: Path, kind: str = "merge", **more: Any) -> dict[str, Any]:
        made, writer = job(owner, target, kind, **more)  # type: ignore[arg-type]
        try:
            profile = load_profile(str(owner.profile)).profile
            assert run_export(made, owner, writer, profile, "cpu", lambda: False)
        finally:
            writer.close()
        return read_json(made.result) or {}

    return make

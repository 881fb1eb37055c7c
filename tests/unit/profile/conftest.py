"""A folder of profiles as the only one on the search path besides the packed ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Return a function that writes `profiles/<name>.toml` where the lab looks first."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAB_PROFILES", "")

    def file(name: str, text: str) -> Path:
        path = tmp_path / "profiles" / f"{name}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return file

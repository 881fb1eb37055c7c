"""Memory limits of control groups, version 1 and 2, seen from the host and from inside a container."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from lab.telemetry import limits
from lab.telemetry.limits import memory, memory_limit, usable_bytes

GB = 1_000_000_000


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")
    return root


@pytest.mark.parametrize(
    ("files", "mine", "expected"),
    [
        ({}, "", None),
        ({"memory.max": "max"}, "0::/\n", None),
        ({"memory.max": "4000000000"}, "0::/\n", 4 * GB),
        ({"a/memory.max": "max", "a/b/memory.max": "3000000000"}, "0::/a/b\n", 3 * GB),
        ({"a/memory.max": "2000000000", "a/b/memory.max": "3000000000"}, "0::/a/b\n", 2 * GB),
        ({"memory.max": "4000000000"}, "0::/not/mounted/here\n", 4 * GB),
        ({"memory/job/memory.limit_in_bytes": "1000000000"}, "5:cpu,memory:/job\n0::/\n", GB),
        ({"memory/job/memory.limit_in_bytes": "1000000000"}, "5:cpu:/job\n0::/\n", None),
        ({"memory/memory.limit_in_bytes": "9223372036854771712"}, "4:memory:/\n", 9223372036854771712),
    ],
)
def test_the_lowest_limit_on_the_way_counts(
    tmp_path: Path, files: dict[str, str], mine: str, expected: int | None
) -> None:
    assert memory_limit(tree(tmp_path, files), mine) == expected


@pytest.mark.parametrize(
    ("limit", "status", "usable"),
    [
        ("max", "ok", 16 * GB),
        ("9223372036854771712", "ok", 16 * GB),
        ("8000000000", "warn", 8 * GB),
        ("1000000000", "warn", GB),
    ],
)
def test_a_limit_below_the_machine_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, status: str, usable: int
) -> None:
    tree(tmp_path, {"memory.max": limit})
    (tmp_path / "mine").write_text("0::/\n")
    monkeypatch.setattr(limits, "CGROUPS", tmp_path)
    monkeypatch.setattr(limits, "MINE", tmp_path / "mine")
    host = SimpleNamespace(total=16 * GB, available=9 * GB)
    monkeypatch.setattr(limits.psutil, "virtual_memory", lambda: host)
    assert usable_bytes() == usable
    assert memory().status == status
    assert ("limited to" in memory().found) == (usable < 16 * GB)


def test_a_small_machine_is_a_warning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(limits, "MINE", tmp_path / "none")
    monkeypatch.setattr(limits.psutil, "virtual_memory", lambda: SimpleNamespace(total=2 * GB, available=GB))
    assert memory().status == "warn"
    assert "demo" in memory().remedy

"""Kills for memory, as control groups of both versions count them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.telemetry import kills
from lab.telemetry.kills import kill_counter, kills_since

VERSION_1 = "oom_kill_disable 0\nunder_oom 0\noom_kill {}\n"
VERSION_2 = "low 0\nhigh 0\nmax 7\noom 4\noom_kill {}\n"


def group(root: Path, line: str, file: str, text: str) -> Path:
    """Write a counter and this process's membership; return the latter."""
    path = root / "cgroup" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    mine = root / "mine"
    mine.write_text(f"12:cpu,cpuacct:/elsewhere\n{line}\n")
    return mine


@pytest.mark.parametrize(
    ("line", "file", "text"),
    [
        ("0::/a/b", "a/b/memory.events", VERSION_2),
        ("0::/host/path", "memory.events", VERSION_2),
        ("4:memory:/job", "memory/job/memory.oom_control", VERSION_1),
        ("4:memory:/host/path", "memory/memory.oom_control", VERSION_1),
        ("4:hugetlb,memory:/job", "memory/job/memory.oom_control", VERSION_1),
    ],
)
def test_a_kill_since_the_start_is_seen(tmp_path: Path, line: str, file: str, text: str) -> None:
    mine, root = group(tmp_path, line, file, text.format(3)), tmp_path / "cgroup"
    noted = kill_counter(root, mine)
    assert noted is not None
    assert noted["kills"] == 3
    assert kills_since(noted, root) == 0
    (root / file).write_text(text.format(5))
    assert kills_since(noted, root) == 2


def test_without_a_counter_nothing_is_noted(tmp_path: Path) -> None:
    mine = group(tmp_path, "0::/a", "a/memory.current", "77")
    assert kill_counter(tmp_path / "cgroup", mine) is None
    assert kill_counter(tmp_path / "cgroup", tmp_path / "missing") is None


@pytest.mark.parametrize(
    "changes",
    [
        {"host": "another"},
        {"boot_id": "before the reboot"},
        {"file": "/etc/passwd"},
        {"file": "{root}/../counter"},
        {"file": None},
        {"kills": None},
        {"kills": "3"},
        {"kills": 9},
    ],
)
def test_a_record_of_elsewhere_or_of_nonsense_proves_nothing(tmp_path: Path, changes: dict[str, Any]) -> None:
    mine, root = group(tmp_path, "0::/a", "a/memory.events", VERSION_2.format(0)), tmp_path / "cgroup"
    (tmp_path / "counter").write_text(VERSION_2.format(8))
    noted = kill_counter(root, mine)
    assert noted is not None
    (root / "a" / "memory.events").write_text(VERSION_2.format(8))
    assert kills_since(noted, root) == 8
    changed = {key: value.format(root=root) if isinstance(value, str) else value for key, value in changes.items()}
    assert kills_since({**noted, **changed}, root) == 0


def test_here_it_answers_without_an_error() -> None:
    noted = kill_counter()
    assert noted is None or kills_since(noted) >= 0
    assert kills.COUNTER == "oom_kill"

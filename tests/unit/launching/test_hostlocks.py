"""The shared folder of device locks, with what strangers might have left in it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from lab.errors import RunStateError
from lab.launching.hostlocks import holder, living_tickets, lock_folder, take, ticket


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAB_DEVICE_LOCKS", str(tmp_path / "devices"))
    return lock_folder()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_every_user_may_use_what_one_made(folder: Path) -> None:
    before = os.umask(0o077)
    try:
        handle = take(folder, "a.lock", "r")
        with ticket(folder, "r", ("a.lock",)):
            (path,) = folder.glob("ticket-*")
            assert mode(path) & 0o444 == 0o444
    finally:
        os.umask(before)
    assert handle is not None
    assert mode(folder) == 0o1777
    assert mode(folder / "a.lock") & 0o666 == 0o666
    os.close(handle)


def test_lock_has_one_holder_and_names_it(folder: Path) -> None:
    assert holder(folder, "a.lock") is None
    handle = take(folder, "a.lock", "a-rather-long-name-of-a-run")
    assert handle is not None
    assert take(folder, "a.lock", "second") is None
    assert holder(folder, "a.lock") == "a-rather-long-name-of-a-run"
    os.close(handle)
    assert holder(folder, "a.lock") is None
    handle = take(folder, "a.lock", "second")
    assert handle is not None
    assert holder(folder, "a.lock") == "second"
    os.write(handle, b"nonsense")
    assert holder(folder, "a.lock") == "another process"
    os.close(handle)


def test_lock_that_was_swept_away_while_it_was_taken_is_not_ours(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handle = take(folder, "a.lock", "r")
    assert handle is not None
    os.close(handle)
    opened = os.open

    def open_and_sweep(path: Path, flags: int, *rest: int) -> int:
        found = opened(path, flags, *rest)
        monkeypatch.setattr(os, "open", opened)
        path.unlink()
        return found

    monkeypatch.setattr(os, "open", open_and_sweep)
    assert take(folder, "a.lock", "r") is None
    assert take(folder, "a.lock", "r") is not None


@pytest.mark.parametrize("trick", ["symlink", "dangling", "hardlink", "fifo", "folder"])
def test_lock_that_is_no_plain_file_is_refused(folder: Path, tmp_path: Path, trick: str) -> None:
    precious = tmp_path / "precious"
    precious.write_text("untouched")
    path = folder / "a.lock"
    {
        "symlink": lambda: path.symlink_to(precious),
        "dangling": lambda: path.symlink_to(tmp_path / "new"),
        "hardlink": lambda: path.hardlink_to(precious),
        "fifo": lambda: os.mkfifo(path),
        "folder": lambda: path.mkdir(),
    }[trick]()
    with pytest.raises(RunStateError, match="cannot be used"):
        take(folder, "a.lock", "r")
    assert precious.read_text() == "untouched"
    assert not (tmp_path / "new").exists()


def test_shared_folder_that_is_a_link_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    monkeypatch.setenv("LAB_DEVICE_LOCKS", str(tmp_path / "link"))
    with pytest.raises(RunStateError, match="not a folder"):
        lock_folder()


def test_tickets_are_read_oldest_first_and_dead_or_odd_ones_do_not_count(folder: Path) -> None:
    (folder / "ticket-5-77").write_text('{"run": "dead", "locks": ["a.lock"]}')
    (folder / "ticket-x-1").write_text("{}")
    (folder / "ticket-7-1").mkdir()
    os.mkfifo(folder / "ticket-8-1")
    with ticket(folder, "first", ("a.lock",)), ticket(folder, "second", ("a.lock", "b.lock")):
        found = living_tickets(folder)
        assert [(t.run, t.locks) for t in found] == [("first", ("a.lock",)), ("second", ("a.lock", "b.lock"))]
        assert not (folder / "ticket-5-77").exists()
    assert living_tickets(folder) == []


def test_age_counts_by_number_not_by_spelling(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([900, 1000])
    monkeypatch.setattr("time.monotonic_ns", lambda: next(times))
    with ticket(folder, "older", ()), ticket(folder, "younger", ()):
        assert [t.run for t in living_tickets(folder)] == ["older", "younger"]

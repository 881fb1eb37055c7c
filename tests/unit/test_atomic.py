"""Replacing files whole: the old content or the new, on a disk that fills up as well."""

from __future__ import annotations

import errno
import json
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.atomic import write_json, write_text
from lab.errors import OutOfSpaceError


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """Let the kernel refuse to let a file grow beyond `size` bytes, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_content_is_replaced_with_a_private_mode(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(0o644)
    write_text(path, "new é")
    assert path.read_text(encoding="utf-8") == "new é"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_text_that_utf8_cannot_hold_is_written_all_the_same(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "lone \ud800")
    assert (tmp_path / "a.txt").read_bytes() == b"lone ?"


def test_old_content_stays_when_the_disk_fills_up(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with files_limited_to(4096), pytest.raises(OutOfSpaceError):
        write_text(path, "x" * 100_000)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_no_temporary_file_is_left_where_the_target_cannot_be_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "a.txt"
    folder.mkdir()
    with pytest.raises(OutOfSpaceError, match="cannot be written"):
        write_text(folder, "new")
    assert list(tmp_path.iterdir()) == [folder]


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutOfSpaceError, match=r"gone/a\.txt cannot be written \(No such file"):
        write_text(tmp_path / "gone" / "a.txt", "new")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_names_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def full(*_: object) -> None:
        raise OSError(code, "full")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutOfSpaceError, match=r"No space is left .*lab runs prune"):
        write_text(tmp_path / "a.txt", "new")
    assert list(tmp_path.iterdir()) == []


def test_json_is_strict(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text()) == {"loss": "nan"}

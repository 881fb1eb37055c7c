"""One line a record, whatever the disk and the writer before did."""

from __future__ import annotations

import json
import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.errors import OutOfSpaceError
from lab.runs.appendlog import AppendLog
from lab.runs.reader import Tail, read_all


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """Let the kernel refuse to let a file grow beyond `size` bytes: the line at the limit is written in part."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_records_are_strict_json_lines_in_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    before = os.umask(0)
    try:
        log = AppendLog(path)
    finally:
        os.umask(before)
    log.append({"loss": float("nan"), "text": "two\nlines é \ud800"})
    log.append({"n": 2})
    log.close()
    log.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    first, second = path.read_text(encoding="utf-8").splitlines()
    assert json.loads(first) == {"loss": "nan", "text": "two\nlines é ?"}
    assert json.loads(second) == {"n": 2}


def test_a_torn_last_line_is_closed_on_opening(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"n": 1}\n{"n": 2, "te')
    log = AppendLog(path)
    log.append({"n": 3})
    log.close()
    assert path.read_bytes() == b'{"n": 1}\n{"n": 2, "te\n{"n": 3}\n'
    tail = Tail(path)
    assert [record["n"] for record in tail.read()] == [1, 3]
    assert tail.skipped == 1


@pytest.mark.parametrize("content", [b"", b'{"n": 1}\n'])
def test_a_whole_file_is_not_touched_on_opening(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(content)
    AppendLog(path).close()
    assert path.read_bytes() == content


def leads_to(link: Path, path: Path) -> bool:
    return link.is_symlink() and str(link.readlink()) == str(path)


def test_no_child_process_inherits_the_file(tmp_path: Path) -> None:
    log = AppendLog(tmp_path / "events.jsonl")
    handles = [int(link.name) for link in Path("/proc/self/fd").iterdir() if leads_to(link, log.path)]
    assert [os.get_inheritable(handle) for handle in handles] == [False]
    log.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told_with_its_remedy() -> None:
    log = AppendLog(Path("/dev/full"))
    with pytest.raises(OutOfSpaceError, match=r"No space is left to write /dev/full\. .*lab runs prune"):
        log.append({"n": 1})
    log.close()


def test_a_line_cut_by_a_full_disk_is_closed_before_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = AppendLog(path)
    log.append({"n": 1})
    with files_limited_to(20):
        for _ in range(2):
            with pytest.raises(OutOfSpaceError):
                log.append({"n": 2, "text": "x" * 50})
    assert path.stat().st_size == 20
    log.append({"n": 3})
    log.append({"n": 4})
    log.close()
    assert [record["n"] for record in read_all(path)] == [1, 3, 4]

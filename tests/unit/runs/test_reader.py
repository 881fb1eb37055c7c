"""Following a file that grows: each byte once, whole lines only, no more than asked for."""

from __future__ import annotations

import builtins
import io
from pathlib import Path
from typing import Any

import pytest

from lab.runs.reader import Tail, read_all, read_json


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def test_a_missing_file_has_nothing_yet(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    tail = Tail(path)
    assert tail.read() == []
    append(path, b'{"n": 1}\n')
    assert tail.read() == [{"n": 1}]
    assert list(read_all(tmp_path / "gone.jsonl")) == []


def test_half_a_line_waits_for_its_other_half(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    tail = Tail(path)
    append(path, b'{"n": 1}\n{"te')
    assert tail.read() == [{"n": 1}]
    assert tail.read() == []
    append(path, 'xt": "é'.encode()[:-1])
    assert tail.read() == []
    append(path, "é".encode()[1:] + b'"}\n')
    assert tail.read() == [{"text": "é"}]
    assert tail.skipped == 0


@pytest.mark.parametrize(
    "line", [b"{torn", b"[1, 2]", b"5", b"null", b'"text"', b"\xff\xfe", b"\x00\x00", b'{"n": 1}{"n": 2}']
)
def test_lines_that_are_no_object_are_skipped_and_counted(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "x.jsonl"
    append(path, b'{"n": 1}\n' + line + b'\n\n{"n": 2}\n')
    tail = Tail(path)
    assert tail.read() == [{"n": 1}, {"n": 2}]
    assert tail.skipped == 1


def test_no_byte_is_read_twice(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    append(path, b'{"n": 1}\n{"n"')
    tail = Tail(path)
    tail.read()
    path.write_bytes(b"#" * tail.offset + b': 2}\n{"n": 3}\n')  # what was read may turn to anything
    assert tail.read() == [{"n": 2}, {"n": 3}]
    assert tail.skipped == 0


def test_reading_can_begin_within_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    append(path, b'{"n": 1}\n')
    offset = path.stat().st_size
    append(path, b'{"n": 2}\n')
    assert Tail(path, offset).read() == [{"n": 2}]


def test_each_call_reads_at_most_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.jsonl"
    append(path, b"".join(b'{"n": %d}\n' % n for n in range(1000)))
    asked: list[Any] = []
    opened = io.open

    def watched(*args: Any, **more: Any) -> Any:
        file = opened(*args, **more)

        class Counted:
            def __enter__(self) -> Counted:
                return self

            def __exit__(self, *_: object) -> None:
                file.close()

            def seek(self, *where: int) -> int:
                return int(file.seek(*where))

            def read(self, count: int = -1) -> bytes:
                asked.append(count)
                return bytes(file.read(count))

        return Counted()

    monkeypatch.setattr(builtins, "open", watched)
    monkeypatch.setattr(io, "open", watched)
    tail, found = Tail(path), []
    while tail.offset < path.stat().st_size:
        before = tail.offset
        found += tail.read(limit=64)
        assert 0 < tail.offset - before <= 64
    monkeypatch.undo()
    assert [record["n"] for record in found] == list(range(1000))
    assert set(asked) == {64}


def test_a_line_longer_than_the_limit_comes_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    append(path, b'{"text": "' + b"x" * 100 + b'"}\n')
    tail = Tail(path)
    found = [record for _ in range(20) for record in tail.read(limit=10)]
    assert found == [{"text": "x" * 100}]


def test_all_is_read_over_many_chunks_but_not_the_unfinished_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.jsonl"
    monkeypatch.setattr(Tail.read, "__defaults__", (7,))
    append(path, b"".join(b'{"n": %d}\n' % n for n in range(50)) + b'{"n": 50')
    assert [record["n"] for record in read_all(path)] == list(range(50))


@pytest.mark.parametrize(
    ("content", "value"),
    [(b'{"a": 1}', {"a": 1}), (b"[1]", None), (b"{half", None), (b"", None), (b"\xff", None), (None, None)],
)
def test_json_files_hold_an_object_or_nothing(tmp_path: Path, content: bytes | None, value: object) -> None:
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content)
    assert read_json(path) == value
    assert read_json(path / "below") is None

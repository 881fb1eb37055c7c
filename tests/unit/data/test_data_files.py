from __future__ import annotations

from pathlib import Path

import pytest

from lab.data.files import read_file
from lab.errors import DataError, NotFoundError

ROWS = [{"a": "1", "b": "x\u2028y"}, {"a": "2", "b": "zwei\nZeilen"}]
"""The first holds a character at which str.splitlines() would cut its line in two."""

GOOD = {
    "list.json": b'[{"a": "1", "b": "x\xe2\x80\xa8y"}, {"a": "2", "b": "zwei\\nZeilen"}]',
    "lines.json": b'{"a": "1", "b": "x\xe2\x80\xa8y"}\n{"a": "2", "b": "zwei\\nZeilen"}\n',
    "lines.jsonl": b'{"a": "1", "b": "x\xe2\x80\xa8y"}\n\n{"a": "2", "b": "zwei\\nZeilen"}',
    "windows.JSONL": b'\xef\xbb\xbf{"a": "1", "b": "x\xe2\x80\xa8y"}\r\n{"a": "2", "b": "zwei\\nZeilen"}\r\n',
    "table.csv": b'a,b\n1,x\xe2\x80\xa8y\n2,"zwei\nZeilen"\n',
    "windows.csv": b'\xef\xbb\xbfa,b\r\n1,x\xe2\x80\xa8y\r\n\r\n2,"zwei\nZeilen"\r\n',
}

BAD = {
    "not json": ("r.jsonl", b'{"a": 1}\n\n{"a": 2,}\n', "Line 3 of .*r.jsonl is not JSON", "one object a line"),
    "no quotes": ("r.jsonl", b"hello\n", "Line 1 of .*r.jsonl is not JSON", "one object a line"),
    "broken list": ("r.json", b'[{"a": 1},\n {"a": 2}\n {"a": 3}]', "Line 3 of .*r.json is not JSON", "one list"),
    "too deep": ("r.json", b"[" * 200_000, "is not JSON .nested too deep", "one list"),
    "only blank": ("r.jsonl", b"\n  \n", "r.jsonl holds no rows", "data.source"),
    "empty list": ("r.json", b"[]", "r.json holds no rows", "data.source"),
    "only a header": ("r.csv", b"a,b\n", "r.csv holds no rows", "data.source"),
    "latin-1": (
        "r.jsonl",
        b'{"a": "x"}\n{"a": "\xe9"}\n',
        "Line 2 of .*r.jsonl is not UTF-8",
        "Save the file as UTF-8",
    ),
    "too many cells": ("r.csv", b"a,b\n1,2\n1,2,3\n", "Line 3 of .*r.csv has 3 fields, its header 2", "quotes"),
    "too few cells": ("r.csv", b"a,b\n1\n", "Line 2 of .*r.csv has 1 field, its header 2", "quotes"),
    "open quote": ("r.csv", b'a,b\n1,"2\n', "Line 2 of .*r.csv is not CSV", "double the quotes"),
    "same name twice": ("r.csv", b"a,a\n1,2\n", "The header of .*r.csv names 'a' twice", "its own name"),
    "no parquet": ("r.parquet", b"PAR1 not really", "r.parquet is not a Parquet file", "Write it again"),
}


@pytest.mark.parametrize("name", GOOD)
def test_the_same_rows_in_every_spelling(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(GOOD[name])
    assert read_file(path) == ROWS


def test_parquet(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    rows = [{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "r.parquet")
    assert read_file(tmp_path / "r.parquet") == rows


def test_a_cell_larger_than_pythons_default_limit(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("a\n" + "x" * 200_000 + "\n")
    assert len(read_file(tmp_path / "r.csv")[0]["a"]) == 200_000


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_in_two_sentences(name: str, tmp_path: Path) -> None:
    file, content, problem, remedy = BAD[name]
    (tmp_path / file).write_bytes(content)
    with pytest.raises(DataError, match=problem) as error:
        read_file(tmp_path / file)
    assert remedy in error.value.remedy
    assert error.value.problem.endswith(".")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="cannot be read"):
        read_file(tmp_path / "none.jsonl")

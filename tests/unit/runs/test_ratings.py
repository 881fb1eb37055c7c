"""The lines of a ratings file: what stands, what was taken back, what is not ours or damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.runs.paths import RunPaths
from lab.runs.ratings import Verdict, fold, pair_of, read_verdicts, write_undo, write_verdict


def verdict(row: str, choice: str = "first", **fields: Any) -> dict[str, Any]:
    return {"type": "verdict", "first": "a", "second": "b", "row": row, "answers": "h", "choice": choice, **fields}


def taken(row: str) -> dict[str, Any]:
    return {"type": "undo", "first": "a", "second": "b", "row": row, "answers": "h"}


@pytest.mark.parametrize(
    ("lines", "rows"),
    [
        ([], []),
        ([verdict("1"), verdict("2")], ["1", "2"]),
        ([verdict("1"), verdict("2"), taken("2")], ["1"]),
        ([verdict("1"), verdict("2"), taken("1")], ["2"]),
        ([verdict("1"), verdict("1", "second"), taken("1")], ["1"]),
        ([taken("1"), verdict("1")], ["1"]),
        ([verdict("1", "best"), verdict("2", choice="")], ["2"]),
        ([{**verdict("1"), "second": "c"}, {"first": "a", "second": "b"}, {}], []),
        ([{**verdict("1"), "type": "later"}], []),
    ],
)
def test_fold(lines: list[dict[str, Any]], rows: list[str]) -> None:
    assert [found.row for found in fold(lines, "a", "b")] == rows


def test_texts_are_cleaned_and_types_are_checked() -> None:
    (found,) = fold([verdict("1", note="\x1b]0;x\x07bad", flagged="yes", left=None)], "a", "b")
    assert (found.note, found.flagged, found.left) == ("bad", False, "")


def test_a_written_verdict_comes_back(tmp_path: Path) -> None:
    first, second = RunPaths(tmp_path / "a"), RunPaths(tmp_path / "b")
    first.folder.mkdir()
    said = Verdict("a", "b", "1", "h", "tie", "b", True, "note")
    write_verdict(first, said)
    with first.ratings.open("a") as file:
        file.write('{"torn')
    write_verdict(first, Verdict("a", "b", "2", "h", "skip"))
    assert [found.row for found in read_verdicts(first, second)] == ["1", "2"]
    assert read_verdicts(first, second)[0] == said
    write_undo(first, said)
    assert [found.row for found in read_verdicts(first, second)] == ["2"]
    assert read_verdicts(second, first) == []


def test_a_pair_is_the_same_whichever_way_round() -> None:
    a, b = RunPaths(Path("x/a")), RunPaths(Path("x/b"))
    assert pair_of(a, b) == pair_of(b, a) == (a, b)

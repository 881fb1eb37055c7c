"""From key paths to lines of a TOML file."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomli

from lab.profile.origin import Origin, file_origins, key_lines, leaves, line_of

TEXT = """description = "x"   # 1

[ train ] # a comment
seed = 3
  epochs = 2
"quoted" = 1

[data]
columns = {output = "answer"}
[[data.source]]
name = "a"
[[data.source]]
name = "b"
[method]
target_modules = [
  "q_proj",
]
"""


def test_lines_of_keys_headers_and_numbered_tables() -> None:
    assert key_lines(TEXT) == {
        "description": 1,
        "train": 3,
        "train.seed": 4,
        "train.epochs": 5,
        "train.quoted": 6,
        "data": 8,
        "data.columns": 9,
        "data.source.0": 10,
        "data.source.0.name": 11,
        "data.source.1": 12,
        "data.source.1.name": 13,
        "method": 14,
        "method.target_modules": 15,
    }


@pytest.mark.parametrize(
    ("path", "line"),
    [("train.seed", 4), ("data.columns.output", 9), ("data.source.1.train", 12), ("nowhere.at.all", 0)],
)
def test_a_key_without_a_line_of_its_own_takes_its_parents(path: str, line: int) -> None:
    assert line_of(key_lines(TEXT), path) == line


def test_dotted_keys_have_their_own_lines() -> None:
    text = "train.seed = 1\n[data]\nsource.x = 2\n"
    found = file_origins(tomli.loads(text), text, Path("some/p.toml"), "file")
    assert found == {"train.seed": Origin("file", "p.toml", 1), "data.source.x": Origin("file", "p.toml", 3)}


def test_leaves_number_tables_in_arrays_and_keep_plain_arrays_whole() -> None:
    tree = {"a": {"b": 1, "empty": {}}, "c": [{"d": 2}, {"d": 3}], "e": [1, 2], "f": []}
    assert list(leaves(tree)) == [("a.b", 1), ("a.empty", {}), ("c.0.d", 2), ("c.1.d", 3), ("e", [1, 2]), ("f", [])]
    assert list(leaves(5, "x")) == [("x", 5)]


@pytest.mark.parametrize(
    ("origin", "text"),
    [
        (Origin("default"), "default"),
        (Origin("flag"), "flag"),
        (Origin("file", "p.toml", 3), "file p.toml:3"),
        (Origin("parent", "p.toml"), "parent p.toml"),
    ],
)
def test_an_origin_reads(origin: Origin, text: str) -> None:
    assert str(origin) == text

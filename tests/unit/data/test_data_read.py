from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.data.read import read_rows
from lab.data.rows import exchange_hash, split_hash
from lab.errors import DataError
from lab.profile.schema import Data, Source

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.chdir(tmp_path)

    def to_file(name: str, rows: list[Any]) -> str:
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
        return name

    return to_file


def pairs(count: int, start: int = 0) -> list[dict[str, str]]:
    return [{"prompt": f"question {n}", "completion": f"answer {n}"} for n in range(start, start + count)]


def test_rows_of_a_file(write: Write) -> None:
    drawn = read_rows(Data(source=[Source(name=write("r.jsonl", pairs(50)), validation=5, test=10)]))
    assert {name: len(rows) for name, rows in drawn.splits.items()} == {"train": 35, "validation": 5, "test": 10}
    every = [row for rows in drawn.splits.values() for row in rows]
    assert {row.id for row in every} == {f"r.jsonl-{n}" for n in range(1, 51)}
    assert next(row for row in every if row.id == "r.jsonl-8").reference == "answer 7"
    (tally,) = drawn.tallies
    assert (tally.name, tally.format, tally.saw, tally.read) == (
        "r.jsonl",
        "prompt-completion",
        "columns prompt, completion",
        50,
    )
    assert (drawn.count, drawn.read_lost) == (50, 0)


def test_a_conversation_ends_with_its_last_answer(write: Write) -> None:
    turns = [("user", "a"), ("assistant", "b"), ("user", "thanks")]
    chat = {"messages": [{"role": role, "content": content} for role, content in turns]}
    (row,) = read_rows(Data(source=[Source(name=write("r.jsonl", [chat]))])).splits["train"]
    assert [message.content for message in row.messages] == ["a", "b"]
    assert row.reference == "b"


def test_counts_add_up_over_sources_and_one_does_not_move_the_other(write: Write) -> None:
    first = Source(name=write("a.jsonl", pairs(50)), train=10, test=5)
    second = Source(name=write("b.jsonl", pairs(50, 100)), train=20, validation=4)
    alone, both = read_rows(Data(source=[first])), read_rows(Data(source=[second, first]))
    assert [len(both.splits[name]) for name in ("train", "validation", "test")] == [30, 4, 5]
    assert both.splits["test"] == alone.splits["test"]
    assert both.splits["train"][20:] == alone.splits["train"]


def test_own_ids_are_kept_where_every_row_has_one(write: Write) -> None:
    rows = [{"id": 7, **pairs(1)[0]}, {"id": "\x1b[1meight", **pairs(1, 1)[0]}]
    drawn = read_rows(Data(source=[Source(name=write("a.jsonl", rows))]))
    assert {row.id for row in drawn.splits["train"]} == {"a.jsonl-7", "a.jsonl-eight"}
    drawn = read_rows(Data(source=[Source(name=write("b.jsonl", [*rows, {"id": 7, **pairs(1, 2)[0]}]))]))
    assert {row.id for row in drawn.splits["train"]} == {"b.jsonl-1", "b.jsonl-2", "b.jsonl-3"}
    keyed = [{"key": "x", **pairs(1)[0]}]
    drawn = read_rows(Data(source=[Source(name=write("c.jsonl", keyed), columns={"id": "key"})]))
    assert drawn.splits["train"][0].id == "c.jsonl-x"


def test_the_same_file_twice_gives_unique_ids(write: Write) -> None:
    name = write("r.jsonl", pairs(20))
    drawn = read_rows(Data(source=[Source(name=name), Source(name=name)]))
    assert len({row.id for row in drawn.splits["train"]}) == 40


def test_a_bundled_set_keeps_its_own_splits() -> None:
    drawn = read_rows(Data(source=[Source(name="bundled:helpdesk", train=40, validation=10, test=20)]))
    assert {name: len(rows) for name, rows in drawn.splits.items()} == {"train": 40, "validation": 10, "test": 20}
    for name, rows in drawn.splits.items():
        assert all(row.id.startswith(f"helpdesk-{name}-") for row in rows)
        assert all(row.group for row in rows)
    assert drawn.tallies[0].read == 1100


def test_a_bundled_set_whole_and_by_seed() -> None:
    whole = read_rows(Data(source=[Source(name="bundled:helpdesk")]))
    assert {name: len(rows) for name, rows in whole.splits.items()} == {"train": 800, "validation": 0, "test": 0}
    source = Source(name="bundled:helpdesk", test=20)
    one, other = (split_hash(read_rows(Data(source=[source], seed=seed)).splits["test"]) for seed in (1, 2))
    assert one != other


def test_drops_are_counted_by_reason_with_an_example(write: Write) -> None:
    bad = [
        {"prompt": "a", "completion": 5},
        "text",
        {"prompt": "a", "completion": " "},
        {"prompt": "a"},
        {"prompt": [{"role": "user", "content": "a"}], "completion": []},
    ]
    drawn = read_rows(Data(source=[Source(name=write("r.jsonl", [*bad, *pairs(5)]))]))
    (tally,) = drawn.tallies
    assert tally.dropped == {"not a row": 3, "empty answer": 1, "no assistant turn": 1}
    assert tally.first["not a row"] == "r.jsonl-1: 'completion' is a number, not text"
    assert (drawn.read_lost, drawn.count) == (5, 5)


def test_dedupe_works_before_the_draw_and_over_all_sources(write: Write) -> None:
    first, second = write("a.jsonl", pairs(10) * 2), write("b.jsonl", [*pairs(3), *pairs(5, 100)])
    data = Data(source=[Source(name=first), Source(name=second, test=5)], clean=["dedupe"])
    drawn = read_rows(data)
    assert [tally.dropped for tally in drawn.tallies] == [{"duplicate": 10}, {"duplicate": 3}]
    assert [len(drawn.splits[name]) for name in ("train", "test")] == [10, 5]
    assert drawn.read_lost == 0


def test_without_dedupe_copies_stay_but_on_one_side(write: Write) -> None:
    drawn = read_rows(Data(source=[Source(name=write("r.jsonl", pairs(10) * 2), test=3)]))
    held = {exchange_hash(row) for row in drawn.splits["test"]}
    assert not held & {exchange_hash(row) for row in drawn.splits["train"]}
    assert drawn.tallies[0].dropped == {"copy of a held-out row": 1}
    assert len(drawn.splits["train"]) == 16


def test_what_one_source_tests_no_other_trains_on(write: Write) -> None:
    tested = Source(name=write("test.jsonl", pairs(5)), train=0, test=5)
    drawn = read_rows(Data(source=[Source(name=write("train.jsonl", pairs(20))), tested]))
    assert [len(drawn.splits[name]) for name in ("train", "test")] == [15, 5]
    assert drawn.tallies[0].dropped == {"also in another split": 5}
    assert drawn.tallies[0].unasked == 5


@pytest.mark.parametrize(
    ("rows", "counts", "words"),
    [
        (pairs(10), {"train": 8, "test": 3}, r"asks for 11 rows, but r\.jsonl has 10 usable ones\."),
        (pairs(10), {"validation": 11}, r"asks for 11 rows, but r\.jsonl has 10 usable ones\."),
        (pairs(5) * 2, {"train": 9, "test": 1}, r"asks for 10 rows, but r\.jsonl has 9 usable ones \(dropped: 1 copy"),
        (
            [{"prompt": "a", "completion": 1}, *pairs(2)],
            {"train": 3},
            r"has 2 usable ones \(dropped: 1 not a row \(first: r\.jsonl-1: 'completion' is a number, not text\)\)\.",
        ),
    ],
)
def test_more_rows_than_there_are(rows: list[Any], counts: dict[str, int], words: str, write: Write) -> None:
    data = Data(source=[Source(name=write("r.jsonl", rows), **counts)])
    with pytest.raises(DataError, match=words) as error:
        read_rows(data)
    assert "Lower data.source.0.train, validation or test." in error.value.remedy


def test_more_rows_than_a_bundled_split_has() -> None:
    with pytest.raises(
        DataError, match=r"asks for 201 rows, but bundled:helpdesk has 200 usable ones in its test split"
    ):
        read_rows(Data(source=[Source(name="bundled:helpdesk", test=201)]))


def test_a_file_of_no_objects(write: Write) -> None:
    with pytest.raises(DataError, match=r"r\.jsonl holds no objects\. Write each row as an object"):
        read_rows(Data(source=[Source(name=write("r.jsonl", [1, 2]))]))


def test_poison_is_gone_before_anything_else_sees_it(write: Write) -> None:
    rows = [{"prompt": "\x1b]0;owned\x07hi\x1b[2J", "completion": "[red]ho[/red]\u202e\x9b31m", "id": "\x1b[1m7"}]
    (row,) = read_rows(Data(source=[Source(name=write("r.jsonl", rows))])).splits["train"]
    assert row.chat() == [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "[red]ho[/red]"}]
    assert row.id == "r.jsonl-7"

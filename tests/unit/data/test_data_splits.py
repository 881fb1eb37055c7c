from __future__ import annotations

from typing import Any

import pytest

from lab.data.cleaning import dedupe, problem, until_last_answer
from lab.data.rows import Message, exchange_hash
from lab.data.splits import draw, leaked, sample
from lab.data.tally import Tally


@pytest.fixture
def pool(row: Any) -> Any:
    return lambda count, start=0: [row(f"q {n}", f"a {n}", id=str(n)) for n in range(start, start + count)]


def ids(rows: Any) -> list[str]:
    return [row.id for row in rows]


@pytest.mark.parametrize(
    ("train", "validation", "test", "sizes"),
    [(0, 0, 0, (100, 0, 0)), (0, 10, 20, (70, 10, 20)), (30, 10, 20, (30, 10, 20)), (0, 0, 100, (0, 0, 100))],
)
def test_counts(train: int, validation: int, test: int, sizes: tuple[int, int, int], pool: Any) -> None:
    drawn = draw(pool(100), train, validation, test, 42)
    assert (len(drawn.train), len(drawn.validation), len(drawn.test)) == sizes
    assert len({*ids(drawn.train), *ids(drawn.validation), *ids(drawn.test)}) == sum(sizes)


def test_the_draw_is_random_and_follows_the_seed(pool: Any) -> None:
    first = draw(pool(100), 0, 10, 20, 42)
    assert draw(pool(100), 0, 10, 20, 42) == first
    assert ids(first.test) != ids(draw(pool(100), 0, 10, 20, 43).test)
    assert sorted(ids(first.test), key=int) != [str(n) for n in range(20)]


def test_a_larger_train_split_does_not_move_the_held_out_rows(pool: Any) -> None:
    small, large = draw(pool(100), 10, 10, 20, 42), draw(pool(100), 60, 10, 20, 42)
    assert (small.test, small.validation) == (large.test, large.validation)
    assert large.train[:10] == small.train


def test_order_in_the_file_and_added_rows_hardly_move_anything(pool: Any) -> None:
    before = draw(pool(100), 0, 10, 20, 42)
    assert ids(draw(pool(100)[::-1], 0, 10, 20, 42).test) == ids(before.test)
    after = draw(pool(101), 0, 10, 20, 42)
    assert len(set(ids(before.test)) - set(ids(after.test))) <= 1


def test_copies_of_a_row_stay_on_one_side(row: Any) -> None:
    rows = [row(f"q {n % 20}", "a", id=str(n)) for n in range(100)]
    drawn = draw(rows, 0, 10, 12, 42)
    held = {exchange_hash(row) for row in drawn.test} | {exchange_hash(row) for row in drawn.validation}
    assert not held & {exchange_hash(row) for row in drawn.train}
    assert not {exchange_hash(row) for row in drawn.test} & {exchange_hash(row) for row in drawn.validation}
    assert (len(drawn.test), len(drawn.validation)) == (12, 10)
    assert len(drawn.aside) == 3  # five copies each: 12 = 5 + 5 + 2
    assert len(drawn.train) + len(drawn.aside) + 22 == 100


def test_groups_stay_on_one_side(row: Any) -> None:
    rows = [row(f"q {n}", "a", id=str(n), group=f"g{n % 10}") for n in range(100)]
    drawn = draw(rows, 0, 0, 30, 42)
    assert not {row.group for row in drawn.test} & {row.group for row in drawn.train}


@pytest.mark.parametrize(("count", "size"), [(0, 100), (7, 7)])
def test_sample(count: int, size: int, pool: Any) -> None:
    drawn = sample(pool(100), count, 42)
    assert len(set(ids(drawn))) == size
    assert drawn == sample(pool(100)[::-1], count, 42)
    assert drawn != sample(pool(100), count, 43)


def test_leaks_are_taken_from_train_first(row: Any) -> None:
    a, b, c = row("a", "a", id="1"), row("b", "b", id="2"), row("c", "c", id="3")
    splits = {"train": [a, b, c], "validation": [b, row("a", "a", id="4")], "test": [row("a", "a", id="5")]}
    assert [(name, gone.id) for name, gone in leaked(splits)] == [("validation", "4"), ("train", "1"), ("train", "2")]


def test_dedupe_keeps_the_first_and_counts_the_others(row: Any) -> None:
    tally = Tally("r", "r", "messages", "", 4)
    seen: set[str] = set()
    rows = [
        row("a", "b", id="1"),
        row(("system", "s"), ("user", "a"), ("assistant", "b"), id="2"),
        row("a", "c", id="3"),
    ]
    assert ids(dedupe(rows, seen, tally)) == ["1", "3"]
    assert ids(dedupe([row("a", "b", id="4")], seen, tally)) == []
    assert tally.dropped == {"duplicate": 2}
    assert tally.unasked == 0


MESSAGES: dict[str, tuple[list[tuple[str, str]], str, str | None]] = {
    "good": ([("user", "a"), ("assistant", "b")], "all-assistant", None),
    "nothing": ([], "last", "no assistant turn"),
    "no answer": ([("user", "a")], "last", "no assistant turn"),
    "empty answer": ([("user", "a"), ("assistant", " \n")], "last", "empty answer"),
    "empty earlier answer": (
        [("user", "a"), ("assistant", ""), ("user", "a"), ("assistant", "b")],
        "all-assistant",
        "empty answer",
    ),
    "empty earlier answer that is not learned": (
        [("user", "a"), ("assistant", ""), ("user", "a"), ("assistant", "b")],
        "last",
        None,
    ),
}


@pytest.mark.parametrize("case", MESSAGES)
def test_conversations_that_cannot_be_learned(case: str) -> None:
    turns, train_on, expected = MESSAGES[case]
    assert problem([Message(role, content) for role, content in turns], train_on) == expected


def test_what_follows_the_last_answer_is_left_out() -> None:
    messages = [Message("user", "a"), Message("assistant", "b"), Message("user", "thanks")]
    assert until_last_answer(messages) == messages[:2]

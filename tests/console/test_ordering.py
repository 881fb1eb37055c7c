"""The order of the Runs page, over every sort, with runs that lack the value."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from lab.console.ordering import NO_STUDY, SORTS, Order
from lab.console.rows import RunRow


def row(name: str, created: float, **fields: object) -> RunRow:
    return RunRow(Path(name), name, name, created=created, **{"state": "completed", **fields})  # type: ignore[arg-type]


ROWS = (
    row("b", 1.0, loss=2.0, state="lost", study="s"),
    row("a", 2.0, loss=None, state="training"),
    row("d", 3.0, loss=math.nan, study="t"),
    row("c", 4.0, loss=1.0, energy_wh=5.0, study="s"),
)


def names(order: Order) -> str:
    return "".join(r.title for r in order.apply(ROWS))


@pytest.mark.parametrize(
    ("sort", "expected", "reverse"),
    [
        ("newest", "cdab", "badc"),
        ("state", "acdb"[:1] + "dcb"[1:2] + "db", "bcda"),
        ("name", "abcd", "dcba"),
        ("loss", "cbda", "bcda"),
        ("energy", "cdab", "cdab"),
    ],
)
def test_sorts(sort: str, expected: str, reverse: str) -> None:
    if sort == "state":
        expected, reverse = "acdb", "bcda"
    assert names(Order(sort)) == expected
    turned = names(Order(sort, reverse=True))
    assert sorted(turned) == sorted(expected)
    assert turned == reverse


def test_every_sort_keeps_every_run() -> None:
    for sort in SORTS:
        for reverse in (False, True):
            assert sorted(names(Order(sort, reverse))) == list("abcd")


def test_groups_keep_the_order_and_put_the_newest_study_first() -> None:
    groups = [(study, "".join(r.title for r in rows)) for study, rows in Order("name").grouped(ROWS)]
    assert groups == [("s", "bc"), ("t", "d"), (NO_STUDY, "a")]

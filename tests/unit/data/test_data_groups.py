"""Rows that belong together, and official splits: neither may end up on two sides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.data.prepare import prepare
from lab.data.read import read_rows
from lab.data.rows import Row, group_name
from lab.errors import DataError
from lab.profile.schema import Data, Profile, Source

SHARED = Path(__file__).parents[4] / "shared" / "data"


def write(folder: Path, name: str, rows: list[Any]) -> str:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def pairs(count: int, groups: int, start: int = 0) -> list[dict[str, Any]]:
    numbers = range(start, start + count)
    return [{"prompt": f"question {n}", "completion": f"answer {n % groups}", "answer": n % groups} for n in numbers]


def groups(rows: list[Row]) -> set[str]:
    return {row.group for row in rows}


def test_rows_that_share_the_field_stay_on_one_side(tmp_path: Path) -> None:
    source = Source(name=write(tmp_path, "r.jsonl", pairs(100, 10)), validation=15, test=15)
    drawn = read_rows(Data(source=[source], group_by="answer"))
    train, validation, test = (groups(drawn.splits[name]) for name in ("train", "validation", "test"))
    assert len(test | validation | train) == len(test) + len(validation) + len(train)
    assert [len(drawn.splits[name]) for name in ("validation", "test")] == [15, 15]
    assert drawn.tallies[0].dropped == {"of a held-out group": 10}
    assert drawn.tallies[0].unasked == 0


def test_without_it_the_same_rows_leak(tmp_path: Path) -> None:
    source = Source(name=write(tmp_path, "r.jsonl", pairs(100, 10)), test=15)
    drawn = read_rows(Data(source=[source]))
    answers = [{row.reference for row in drawn.splits[name]} for name in ("train", "test")]
    assert answers[0] & answers[1]


def test_a_group_is_kept_apart_over_all_sources(tmp_path: Path) -> None:
    first = Source(name=write(tmp_path, "a.jsonl", pairs(40, 4)))
    second = Source(name=write(tmp_path, "b.jsonl", pairs(40, 4, 1000)), test=10)
    drawn = read_rows(Data(source=[first, second], group_by="answer"))
    assert not groups(drawn.splits["train"]) & groups(drawn.splits["test"])
    assert drawn.tallies[0].dropped == {"also in another split": 10}


def test_rows_without_the_field_are_alone_and_a_field_that_none_has_is_refused(tmp_path: Path) -> None:
    rows = [*pairs(4, 2), {"prompt": "a", "completion": "b", "answer": None}]
    name = write(tmp_path, "r.jsonl", rows)
    drawn = read_rows(Data(source=[Source(name=name)], group_by="answer"))
    assert sorted(row.group for row in drawn.splits["train"]) == ["", "0", "0", "1", "1"]
    with pytest.raises(DataError, match=r"no column 'anser' to group by.*Did you mean 'answer'.*data\.group_by"):
        read_rows(Data(source=[Source(name=name)], group_by="anser"))


@pytest.mark.parametrize(("value", "name"), [("f10b2a", "f10b2a"), (7, "7"), ("x" * 64, "x" * 64)])
def test_a_groups_name_is_its_value(value: object, name: str) -> None:
    assert group_name(value) == name


def test_long_and_hostile_values_go_by_their_hash() -> None:
    one, other, hostile = (group_name(text) for text in ("x" * 200 + "a", "x" * 200 + "b", "\x1b[1mbold"))
    assert len({one, other, hostile}) == 3
    assert {len(one), len(other), len(hostile)} == {16}


def test_the_group_reaches_test_rows_and_the_report(tmp_path: Path, chatml: Any) -> None:
    source = Source(name=write(tmp_path, "r.jsonl", pairs(60, 6)), test=20)
    prepared = prepare(Profile(data=Data(source=[source], group_by="answer")), chatml)
    assert len({row.group for row in prepared.test}) == prepared.report["splits"]["test"]["groups"] == 2
    assert prepared.report["splits"]["train"]["groups"] == 4


OFFICIAL = [
    {"question": f"Is {n} right?", "final_decision": "yes", "split": "test" if n % 2 else "train"} for n in range(40)
]


def test_official_splits_are_kept(tmp_path: Path) -> None:
    source = Source(name=write(tmp_path, "r.jsonl", OFFICIAL), train=10, validation=5, test=20)
    drawn = read_rows(Data(source=[source]))
    odd = {name: {int(row.id.rpartition("-")[2]) % 2 for row in rows} for name, rows in drawn.splits.items()}
    assert odd == {"train": {1}, "validation": {1}, "test": {0}}  # ids count from 1
    assert [len(rows) for rows in drawn.splits.values()] == [10, 5, 20]
    assert drawn.tallies[0].saw.endswith(", official splits by their rows")


def test_an_official_split_is_all_there_is(tmp_path: Path) -> None:
    name = write(tmp_path, "r.jsonl", OFFICIAL)
    with pytest.raises(DataError, match=r"asks for 21 rows, but .* has 20 usable ones in its test split"):
        read_rows(Data(source=[Source(name=name, test=21)]))
    with pytest.raises(DataError, match=r"asks for 22 rows, but .* has 20 usable ones in its train split"):
        read_rows(Data(source=[Source(name=name, train=18, validation=4)]))


@pytest.mark.parametrize("split", ["train", "unknown", None])
def test_rows_that_do_not_all_name_a_split_are_split_here(split: str | None, tmp_path: Path) -> None:
    rows = [{**row, "split": split} for row in OFFICIAL]
    drawn = read_rows(Data(source=[Source(name=write(tmp_path, "r.jsonl", rows), test=30)]))
    assert len(drawn.splits["test"]) == 30


def test_own_validation_rows(tmp_path: Path) -> None:
    rows = [{**row, "split": ("train", "dev", "test")[n % 3]} for n, row in enumerate(OFFICIAL)]
    drawn = read_rows(Data(source=[Source(name=write(tmp_path, "r.jsonl", rows), validation=13, test=13)]))
    assert [len(drawn.splits[name]) for name in ("train", "validation", "test")] == [14, 13, 13]


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the study's data sets beside the project (../shared/data)")
class TestRealSets:
    def test_exam_questions_do_not_leak(self) -> None:
        source = Source(name=str(SHARED / "id2223_exam_prep.jsonl"), test=200)
        drawn = read_rows(Data(source=[source], group_by="answer_id", clean=["dedupe", "meta-instructions"]))
        answers = [{row.reference for row in drawn.splits[name]} for name in ("train", "test")]
        assert not answers[0] & answers[1]
        assert len(answers[0]) + len(answers[1]) == 45

    def test_the_official_half_of_pubmedqa(self) -> None:
        source = Source(name=str(SHARED / "pubmedqa.jsonl"), test=500, validation=50)
        drawn = read_rows(Data(source=[source]))
        assert [len(drawn.splits[name]) for name in ("train", "validation", "test")] == [450, 50, 500]

    @pytest.mark.parametrize("name", ["squad_dev", "squad_train", "sst2_dev", "sst2_train", "alpaca_test"])
    def test_whole_sets_are_read_without_loss(self, name: str) -> None:
        (tally,) = read_rows(Data(source=[Source(name=str(SHARED / f"{name}.jsonl"))])).tallies
        assert (tally.dropped, tally.format) == ({}, name.partition("_")[0])

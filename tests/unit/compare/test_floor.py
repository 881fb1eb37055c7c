"""The floor and the ceiling of a table."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.compare.entry import Entry, load_entry
from lab.compare.floor import ceiling_entry, floor_entry
from lab.errors import DataError
from lab.runs.store import read_run
from tests.fixtures.folders import answered, make_run, right_answers

METRICS = ("json_match", "token_f1", "bleu", "perplexity")


def entry(root: Path, references: list[str] | None = None, count: int = 12) -> Entry:
    rows = answered(right_answers(count, 3), references)
    info = read_run(make_run(root, generations=rows, metrics=METRICS))
    assert info is not None
    return load_entry(info)


def test_no_row_keeps_its_own_reference(tmp_path: Path) -> None:
    for seed in range(20):
        assert floor_entry(entry(tmp_path / str(seed)), seed=seed).metrics["json_match"]["value"] == 0.0


def test_the_floor_is_what_the_form_alone_gives(tmp_path: Path) -> None:
    metrics = floor_entry(entry(tmp_path)).metrics
    assert metrics["token_f1"]["value"] == pytest.approx(0.75)  # three of four words are common to all references
    assert metrics["token_f1"]["signature"] == entry(tmp_path / "again").metrics["token_f1"]["signature"]


def test_references_that_occur_twice_lift_the_floor(tmp_path: Path) -> None:
    alike = ['{"class": "same"}'] * 12
    assert floor_entry(entry(tmp_path, alike)).metrics["json_match"]["value"] == 1.0


def test_the_same_seed_gives_the_same_floor(tmp_path: Path) -> None:
    references = [f'{{"class": "{number % 3}"}}' for number in range(12)]
    source = entry(tmp_path, references)
    values = {floor_entry(source, seed=seed).metrics["json_match"]["value"] for seed in range(12)}
    assert len(values) > 1
    assert floor_entry(source, seed=3) == floor_entry(source, seed=3)


def test_the_ceiling_answers_with_the_references(tmp_path: Path) -> None:
    ceiling = ceiling_entry(entry(tmp_path))
    assert {name: record["value"] for name, record in ceiling.metrics.items()} == {
        "json_match": 1.0,
        "token_f1": 1.0,
        "bleu": pytest.approx(1.0),
    }


def test_texts_have_no_perplexity_and_no_cost(tmp_path: Path) -> None:
    for bound in (floor_entry(entry(tmp_path / "a")), ceiling_entry(entry(tmp_path / "b"))):
        assert "perplexity" not in bound.metrics
        assert set(bound.cost.values()) == {None}
        assert bound.method == ""


def test_one_row_has_no_other(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="two rows"):
        floor_entry(entry(tmp_path, count=1))


def test_a_run_without_answers_has_no_bounds() -> None:
    with pytest.raises(DataError, match="no answers"):
        ceiling_entry(Entry("run-1", name="lora"))

"""Rows that differ only in the training seed get a row of means with the spread between seeds."""

from __future__ import annotations

import csv
import io
import statistics
from pathlib import Path
from typing import Any

import pytest

from lab.compare.entry import Entry, load_entry
from lab.compare.seeds import seed_groups, seed_mean
from lab.compare.table import build_table
from lab.compare.views import render
from lab.compare.views.data import as_json
from lab.runs.labels import Labels
from lab.runs.store import read_run
from tests.fixtures.folders import answered, make_run, merge, right_answers

RIGHT = {1: 4, 2: 7, 3: 10}


def entry(root: Path, row: str, right: int, seed: int, **options: Any) -> Entry:
    profile = merge({"train": {"seed": seed}}, options.pop("profile", {}))
    name = "".join(letter for letter in row if letter.isalnum())
    folder = make_run(
        root,
        name,
        generations=answered(right_answers(12, right)),
        profile=profile,
        labels=Labels(study="s", row=row),
        **options,
    )
    info = read_run(folder)
    assert info is not None
    return load_entry(info)


@pytest.fixture
def three(tmp_path: Path) -> list[Entry]:
    return [
        entry(tmp_path, f"rank 8, seed {seed}", right, seed, spec={"artifact": str(seed)})
        for seed, right in RIGHT.items()
    ]


def test_the_mean_and_the_spread_between_seeds(three: list[Entry]) -> None:
    mean = seed_mean(three)
    record = mean.metrics["json_match"]
    assert record["value"] == pytest.approx(7 / 12)
    assert record["sd"] == pytest.approx(statistics.stdev([4 / 12, 7 / 12, 10 / 12]))
    assert (record["seeds"], record["low"], record["high"]) == (3, None, None)
    assert mean.name == "3 seeds of rank 8"
    assert mean.cost["train_seconds"] == three[0].cost["train_seconds"]
    assert mean.cost["energy_wh"] is None


def test_the_mean_stands_behind_its_rows_and_is_never_best_or_tested(tmp_path: Path, three: list[Entry]) -> None:
    base = entry(tmp_path, "baseline", 1, 1, method="baseline")
    table = build_table([base, *three], floor=True)
    assert [row.kind for row in table.entries] == ["floor", "run", "run", "run", "run", "seeds", "ceiling"]
    mean = table.entries[-2].id
    assert all(mean not in rows for rows in table.best.values())
    assert all(run != mean for run, _ in table.deltas)
    assert any("their mean, over the training seeds 1, 2, 3" in note for note in table.notes)


def test_seeds_varied_on_purpose_are_held_against_nobody(tmp_path: Path, three: list[Entry]) -> None:
    assert not any(finding.key == "train.seed" for finding in build_table(three, tests=False).findings)
    other = entry(tmp_path, "rank 4", 3, 9, profile={"method": {"rank": 4}})
    apart = build_table([three[0], other], tests=False)
    assert any(finding.key == "train.seed" for finding in apart.findings)


@pytest.mark.parametrize(
    "options",
    [
        {"profile": {"method": {"rank": 4}}},
        {"profile": {"train": {"learning_rate": 1e-3}}},
        {"spec": {"rows_hash": "other"}},
        {"metrics": None},
        {"method": "baseline"},
    ],
)
def test_rows_that_differ_in_more_are_no_seeds_of_each_other(tmp_path: Path, options: dict[str, Any]) -> None:
    rows = [entry(tmp_path, "one", 3, 1), entry(tmp_path, "two", 3, 2, **options)]
    assert seed_groups(rows) == []


def test_one_seed_run_twice_is_no_group(tmp_path: Path) -> None:
    assert seed_groups([entry(tmp_path, "one", 3, 1), entry(tmp_path, "two", 4, 1)]) == []


def test_a_metric_of_two_signatures_has_no_mean(three: list[Entry]) -> None:
    three[1].metrics["token_f1"]["signature"] = "another"
    assert set(seed_mean(three).metrics) == {"json_match", "exact_match"}


def test_every_view_shows_the_spread(three: list[Entry]) -> None:
    table = build_table(three, tests=False)
    record = table.entries[-1].metrics["json_match"]
    text = render(table, "text")
    assert ".583  sd .250" in text
    assert "sd between seeds" in text
    assert "sd .25" in render(table, "md")
    header, *lines = csv.reader(io.StringIO(render(table, "csv")))
    assert [line[header.index("json_match_sd")] for line in lines] == ["", "", "", str(record["sd"])]
    (row,) = (row for row in as_json(table)["rows"] if row["kind"] == "seeds")
    assert row["run"] is None
    assert row["metrics"]["json_match"]["sd"] == record["sd"] == pytest.approx(0.25)

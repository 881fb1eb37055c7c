"""The report's sentence says what the numbers say, and no more; its curves are those of the run folder."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from lab.compare.entry import load_entry
from lab.compare.report.answer import answer_sentence, headline_column
from lab.compare.report.figures import read_curves
from lab.compare.report.gather import Report
from lab.compare.table import Table, build_table
from lab.runs.labels import Labels
from lab.runs.paths import RunPaths
from tests.fixtures.folders import START, answered, make_run, power_samples, right_answers
from tests.unit.compare.report.conftest import infos_of


def table_of(*runs: RunPaths) -> Table:
    return build_table([load_entry(info) for info in infos_of(list(runs))])


def sentence(*runs: RunPaths) -> str:
    table = table_of(*runs)
    return answer_sentence(table, headline_column(table))


def run(home: Path, name: str, right: int, **options: Any) -> RunPaths:
    return make_run(home, name, generations=answered(right_answers(40, right)), labels=Labels(row=name), **options)


def test_the_best_row_its_distance_and_the_next_row_are_named(tmp_path: Path) -> None:
    said = sentence(run(tmp_path, "baseline", 0), run(tmp_path, "lora", 30), run(tmp_path, "qlora", 10))
    assert said.startswith("lora has the highest JSON match, .75 [")
    assert "+.75 [" in said
    assert "against baseline (p<.001), ahead of qlora (+.50 [" in said


def test_a_next_row_that_is_not_told_apart_is_said_to_be_so(tmp_path: Path) -> None:
    said = sentence(run(tmp_path, "baseline", 0), run(tmp_path, "lora", 30), run(tmp_path, "qlora", 29))
    assert "not told apart from qlora" in said


def test_an_untuned_model_that_nothing_beats_is_said_to_be_so(tmp_path: Path) -> None:
    said = sentence(run(tmp_path, "baseline", 20), run(tmp_path, "lora", 4))
    assert said.startswith("baseline has the highest JSON match")
    assert "no other row beats it" in said


def test_ties_and_single_rows_are_not_ranked(tmp_path: Path) -> None:
    both = run(tmp_path, "lora", 8), run(tmp_path, "qlora", 8)
    assert sentence(*both).startswith("All 2 rows have the same JSON match, .20 [")
    assert sentence(both[0]).startswith("Only lora was evaluated: JSON match .20 [")


def test_the_metric_that_was_asked_for_first_is_the_headline(tmp_path: Path) -> None:
    runs = [
        run(tmp_path, name, right, metrics=("token_f1", "json_match")) for name, right in (("lora", 3), ("qlora", 9))
    ]
    column = headline_column(table_of(*runs))
    assert column is not None
    assert column.key == "token_f1"


def test_a_metric_in_which_all_rows_tie_is_not_the_headline(tmp_path: Path) -> None:
    wrong = ["x", "y z"], ["x", '{"class": "c1", "urgent": false}']
    runs = [make_run(tmp_path, n, generations=answered(a)) for n, a in zip(("lora", "qlora"), wrong, strict=True)]
    column = headline_column(table_of(*runs))
    assert column is not None
    assert column.key == "token_f1"


def test_rows_that_may_not_be_compared_are_not_ranked(tmp_path: Path) -> None:
    other = run(tmp_path, "qlora", 30, spec={"rows_hash": "eeee", "test_hash": "dddd"})
    assert sentence(run(tmp_path, "lora", 8), other).startswith("The rows cannot be ranked: Test rows differ")


def test_the_cheapest_rows_are_named(tmp_path: Path) -> None:
    runs = []
    for name, memory, watts in (("lora", 3000, 300.0), ("qlora", 2000, 200.0)):
        events = [
            {"type": "phase", "t": START, "phase": "training", "attempt": 1, "step": 0},
            {"type": "step", "t": START + 10, "step": 1, "loss": 1.0, "tokens": 10, "seconds": 10, "attempt": 1}
            | {"memory_bytes": memory * 1_000_000},
            {"type": "end", "t": START + 20, "outcome": "completed", "attempt": 1, "step": 1},
        ]
        power = power_samples(START, START + 20, watts)
        runs.append(run(tmp_path, name, 10 if name == "lora" else 30, events=events, telemetry=power))
    said = sentence(*runs)
    assert "; qlora took the least memory to train (2.00 GB) and qlora took the least energy to train (" in said


def test_the_study_of_the_fixtures(report: Report) -> None:
    assert report.headline is not None
    assert report.headline.key == "exact_match"
    assert report.answer.startswith("full has the highest exact match, .62 [")
    assert report.answer.endswith("; qlora r=4 took the least memory to train (3.50 GB).")


# --- curves


def test_curves_are_those_of_the_run(report: Report) -> None:
    curves = report.rows[1].curves
    assert len(curves.raw.xs) == len(curves.loss.ys) == 120
    assert curves.raw.ys != curves.loss.ys
    assert curves.validation.xs == [20.0, 40.0, 60.0, 80.0, 100.0, 120.0]
    assert max(curves.watts.xs) == pytest.approx(190 / 60)
    assert max(curves.memory.ys) == pytest.approx(6.3)
    assert curves.gpu
    assert not report.rows[0].curves.loss


def test_pauses_take_no_time_and_break_the_line(tmp_path: Path) -> None:
    lines = [*power_samples(START, START + 60, 100.0), *power_samples(START + 4000, START + 4060, 200.0)]
    found = read_curves(make_run(tmp_path, "lora", telemetry=lines)).watts
    assert max(found.xs) == pytest.approx(2.0)
    assert [math.isnan(y) for y in found.ys].count(True) == 1
    assert (found.ys[0], found.ys[-1]) == (100.0, 200.0)


def test_a_short_loss_is_drawn_as_it_is(tmp_path: Path) -> None:
    curves = read_curves(make_run(tmp_path, "lora"))
    assert curves.loss == curves.raw
    assert curves.loss.ys == [2.0, 1.0, 2.0 / 3, 0.5]
    assert not curves.watts
    assert not curves.gpu

"""The table: columns, the best of each, differences with their tests, notes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.compare.best import best_of, reference_of
from lab.compare.columns import COST_COLUMNS, Column, quality_columns
from lab.compare.cost import COST_KEYS
from lab.compare.deltas import same_answers
from lab.compare.entry import Entry, load_entry
from lab.compare.table import Table, build_table
from lab.runs.store import read_run
from tests.fixtures.folders import (
    SPEC,
    START,
    add_evaluation,
    answered,
    make_run,
    power_samples,
    right_answers,
    training_events,
)

ROWS = 40


def run(root: Path, name: str, right: int, **options: Any) -> Entry:
    folder = make_run(root, name, generations=answered(right_answers(ROWS, right)), **options)
    info = read_run(folder)
    assert info is not None
    return load_entry(info)


def unfinished(root: Path) -> Entry:
    info = read_run(make_run(root, "late", state="training", metrics=None, events=training_events()[:4]))
    assert info is not None
    return load_entry(info)


@pytest.fixture
def entries(tmp_path: Path) -> list[Entry]:
    return [run(tmp_path, "lora", 30), run(tmp_path, "baseline", 2), run(tmp_path, "qlora", 28)]


def judged(name: str, value: float, **fields: Any) -> Entry:
    """Return an evaluated row with one figure for each of two metrics, and train time."""
    metrics = {key: {"value": value, "low": None, "high": None, "signature": "s"} for key in ("bleu", "perplexity")}
    defaults: dict[str, Any] = {"method": "lora", "state": "completed", "cost": {"train_seconds": value}, "spec": SPEC}
    return Entry(name, name=name, metrics=metrics, **{**defaults, **fields})


def best(entries: list[Entry], key: str, reference: Entry | None = None) -> set[str]:
    columns = {column.key: column for column in (*quality_columns(["bleu", "perplexity"]), *COST_COLUMNS)}
    return set(best_of(entries, columns[key], reference))


def test_columns_come_in_reading_order_and_unknown_metrics_last_and_unjudged() -> None:
    columns = quality_columns(["zeta", "rouge1", "perplexity", "alpha", "bleu", "json_match"])
    assert [column.key for column in columns] == ["json_match", "bleu", "perplexity", "rouge1", "alpha", "zeta"]
    assert [column.better for column in columns] == ["higher", "higher", "lower", "higher", "", ""]


def test_every_cost_has_a_column() -> None:
    assert {column.key for column in COST_COLUMNS} == COST_KEYS


def test_the_best_goes_the_way_of_its_metric() -> None:
    rows = [judged("a", 1.0), judged("b", 2.0)]
    assert (best(rows, "bleu"), best(rows, "perplexity"), best(rows, "train_seconds")) == ({"b"}, {"a"}, {"a"})


def test_several_rows_may_be_best_but_not_all() -> None:
    assert best([judged("a", 2.0), judged("b", 2.0), judged("c", 1.0)], "bleu") == {"a", "b"}
    assert best([judged("a", 2.0), judged("b", 2.0)], "bleu") == set()
    assert best([judged("a", 2.0)], "bleu") == set()


@pytest.mark.parametrize("change", [{"rows_hash": "other"}, {"template_hash": "other"}, {"weights": "merged-bf16"}])
def test_rows_that_may_not_be_compared_are_never_best(change: dict[str, Any]) -> None:
    rows = [judged("a", 1.0), judged("b", 2.0), judged("c", 3.0, spec={**SPEC, **change})]
    assert best(rows, "bleu", rows[0]) == {"b"}
    assert best(rows, "train_seconds", rows[0]) == {"a"}


def test_the_best_is_sought_among_the_rows_like_the_reference() -> None:
    other = {**SPEC, "rows_hash": "other"}
    rows = [judged("base", 1.0, method="baseline"), judged("a", 2.0)]
    rows += [judged(name, value, spec=other) for name, value in (("x", 3.0), ("y", 4.0), ("z", 5.0))]
    assert best(rows, "bleu", rows[0]) == {"a"}
    assert best(rows, "bleu", rows[2]) == {"z"}


def test_a_metric_of_another_signature_is_not_compared() -> None:
    rows = [judged("a", 1.0), judged("b", 2.0), judged("c", 9.0)]
    rows[2].metrics["bleu"]["signature"] = "t"
    assert best(rows, "bleu", rows[0]) == {"b"}


def test_perplexity_is_not_compared_between_models() -> None:
    rows = [judged(n, v, environment={"model": {"label": m}}) for n, v, m in (("a", 3.0, "m"), ("b", 2.0, "m"))]
    rows.append(judged("c", 1.0, environment={"model": {"label": "another"}}))
    assert (best(rows, "perplexity", rows[0]), best(rows, "bleu", rows[0])) == ({"b"}, {"a"})


def test_costs_are_compared_on_one_device_and_of_finished_runs() -> None:
    gpu = {"gpu": {"name": "H100"}}
    rows = [judged("a", 5.0), judged("b", 4.0), judged("fast", 1.0, environment=gpu)]
    rows.append(judged("early", 2.0, state="lost"))
    assert best(rows, "train_seconds", rows[0]) == {"b"}


def test_shared_energy_is_never_best() -> None:
    costs = ((9.0, False), (8.0, False), (1.0, True))
    rows = [judged(str(wh), 1.0, cost={"energy_wh": wh, "energy_shared": shared}) for wh, shared in costs]
    assert best(rows, "energy_wh") == {"8.0"}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([judged("a", 1.0), judged("b", 1.0, method="baseline")], "b"),
        (
            [
                judged("nf4", 1.0, method="baseline", spec={**SPEC, "quantization": "nf4"}),
                judged("plain", 1.0, method="baseline"),
            ],
            "plain",
        ),
        ([judged("nf4", 1.0, method="baseline", spec={**SPEC, "quantization": "nf4"}), judged("a", 1.0)], "nf4"),
        ([judged("a", 1.0), judged("b", 1.0)], "a"),
        ([replace(judged("a", 1.0), metrics={}, method="baseline"), judged("b", 1.0)], "b"),
    ],
)
def test_the_reference(rows: list[Entry], expected: str) -> None:
    reference = reference_of(rows)
    assert reference is not None
    assert reference.id == expected


def test_no_evaluation_no_reference(tmp_path: Path) -> None:
    assert reference_of([unfinished(tmp_path)]) is None
    table = build_table([unfinished(tmp_path / "again")], floor=True)
    assert (table.reference, table.deltas, len(table.entries)) == (None, {}, 1)


def test_differences_are_tested_against_the_baseline(entries: list[Entry]) -> None:
    table = build_table(entries)
    lora, baseline, qlora = (entry.id for entry in entries)
    assert table.reference == baseline
    assert {key for key, _ in table.deltas} == {lora, qlora}
    delta = table.deltas[lora, "json_match"]
    assert delta.difference == pytest.approx(28 / 40)
    assert delta.low is not None
    assert delta.high is not None
    assert 0.5 < delta.low < 0.7 < delta.high < 0.9
    assert (delta.rows, delta.test) == (40, "exact McNemar")
    assert table.best["json_match"] == {lora}


def test_tasks_are_tested_on_their_own_answers(tmp_path: Path) -> None:
    entries = []
    for name, right, asked in (("lora", 30, 9), ("baseline", 2, 1)):
        folder = make_run(tmp_path, name, generations=answered(right_answers(ROWS, right)))
        add_evaluation(folder, answered(right_answers(10, asked)), spec={"hash": "beef", "task": "squad"})
        info = read_run(folder)
        assert info is not None
        entries.append(load_entry(info))
    table = build_table(entries)
    lora = entries[0].id
    delta = table.deltas[lora, "squad/json_match"]
    assert (delta.rows, delta.test) == (10, "exact McNemar")
    assert delta.difference == pytest.approx(0.8)
    assert table.deltas[lora, "json_match"].rows == ROWS
    assert same_answers(table.deltas.values()) == "answers"


def test_p_values_are_corrected_for_the_whole_table(entries: list[Entry]) -> None:
    table = build_table(entries)
    assert len(table.deltas) == 6
    smallest = min(table.deltas.values(), key=lambda delta: delta.p_value if delta.p_value is not None else 2)
    assert smallest.p_value is not None
    assert smallest.p_holm == pytest.approx(min(1.0, 6 * smallest.p_value))


def test_equal_answers_are_no_difference(tmp_path: Path) -> None:
    table = build_table([run(tmp_path, "baseline", 5), run(tmp_path, "lora", 5)])
    assert {(delta.difference, delta.p_holm) for delta in table.deltas.values()} == {(0.0, 1.0)}


def test_rows_of_other_conditions_are_listed_but_not_tested(tmp_path: Path, entries: list[Entry]) -> None:
    other = run(tmp_path, "other", 40, spec={"rows_hash": "77b2"})
    table = build_table([*entries, other])
    assert other.id not in {key for key, _ in table.deltas}
    assert other.id not in table.best["json_match"]
    assert table.blocked
    assert not build_table(entries, tests=False).blocked


def test_a_metric_of_another_signature_is_not_tested(entries: list[Entry]) -> None:
    entries[0].metrics["token_f1"]["signature"] = "another version"
    table = build_table(entries)
    assert {metric for run, metric in table.deltas if run == entries[0].id} == {"json_match", "exact_match"}
    assert {metric for run, metric in table.deltas if run == entries[2].id} == {"json_match", "exact_match", "token_f1"}


def test_damaged_answers_leave_the_table_and_say_so(entries: list[Entry]) -> None:
    assert entries[0].evaluation is not None
    entries[0].evaluation.generations.write_text('{"id": "row-0"}\n')
    table = build_table(entries, floor=True)
    assert any("are not tested" in note for note in table.notes)
    assert table.best["json_match"]


def test_floor_and_ceiling_frame_the_rows_and_are_never_best(entries: list[Entry]) -> None:
    table = build_table(entries, floor=True)
    assert [entry.kind for entry in table.entries] == ["floor", "run", "run", "run", "ceiling"]
    assert table.entries[-1].metrics["json_match"]["value"] == 1.0
    assert table.best["json_match"] == {entries[0].id}
    assert table.labels["floor"] == "floor"


def test_a_table_without_room_for_a_floor_says_so(tmp_path: Path) -> None:
    info = read_run(make_run(tmp_path, generations=answered(right_answers(1, 1))))
    assert info is not None
    table = build_table([load_entry(info)], floor=True)
    assert [entry.kind for entry in table.entries] == ["run"]
    assert any(note.startswith("There is no floor") for note in table.notes)


def noted(*entries: Entry) -> str:
    return "\n".join(build_table(entries, tests=False).notes)


def test_notes_on_energy(tmp_path: Path) -> None:
    samples = power_samples(START, START + 38, 200.0, strangers=2, joules=None)
    gpu = {"gpu": {"name": "H100"}}
    cpu, blind = run(tmp_path, "cpu", 1), run(tmp_path, "blind", 1, environment=gpu)
    busy = run(tmp_path, "busy", 1, environment=gpu, telemetry=samples)
    assert "Energy: no GPU, not measured (demo-cpu)." in noted(cpu, blind, busy)
    assert "Energy: not measured, or too little of it (demo-blind)." in noted(cpu, blind, busy)
    assert "share is in the figure (demo-busy)." in noted(cpu, blind, busy)
    assert "integrated from power samples, for want of a counter (demo-busy)." in noted(cpu, blind, busy)


def test_a_baseline_lacks_no_energy(tmp_path: Path) -> None:
    assert "Energy" not in noted(run(tmp_path, "baseline", 1, events=training_events(trained=False)))


def test_notes_on_answers_and_missing_evaluations(tmp_path: Path) -> None:
    rows = answered(["", "{}", "x", "{}"], finish=["stop", "length", "error", "length"])
    info = read_run(make_run(tmp_path, generations=rows))
    assert info is not None
    text = noted(load_entry(info), unfinished(tmp_path))
    assert "demo-lora: of 4 answers 2 cut at the token limit, 1 empty, 1 failed." in text
    assert "demo-late is lost, not evaluated." in text


def test_signatures_name_all_their_metrics(entries: list[Entry]) -> None:
    table = build_table(entries, tests=False)
    assert sorted(table.signatures.values()) == ["JSON match", "exact match, token F1"]


def test_no_rows() -> None:
    table = build_table([])
    assert isinstance(table, Table)
    assert table.reference is None
    assert all(isinstance(column, Column) for column in table.columns)

"""Tables as text, Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lab import jsonio
from lab.compare.columns import Column
from lab.compare.deltas import Delta
from lab.compare.entry import Entry, load_entry
from lab.compare.table import Table, build_table
from lab.compare.views import render
from lab.compare.views.cells import ASCII, BRACKETS, FULL, HALF, PLAIN, cell, cost, delta_cell, p_value, quality
from lab.compare.views.data import as_csv, as_json
from lab.compare.views.fold import fold, hung
from lab.compare.views.markdown import as_markdown, escape
from lab.compare.views.text import as_text
from lab.errors import UsageError
from lab.runs.labels import Labels
from lab.runs.store import read_run
from lab.text import display_width
from tests.fixtures.folders import START, answered, make_run, power_samples, right_answers, training_events

METRICS = ("json_match", "exact_match", "token_f1", "bleu", "rouge1", "rouge2", "rougeL", "perplexity")


def entry(root: Path, name: str, right: int | None, **options: Any) -> Entry:
    rows = answered(right_answers(20, right or 0))
    run = make_run(root, name, generations=rows, metrics=None if right is None else METRICS, **options)
    info = read_run(run)
    assert info is not None
    return load_entry(info)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    root = tmp_path_factory.mktemp("home")
    energy = power_samples(START, START + 38, 200.0)
    return build_table(
        [
            entry(root, "baseline", 1),
            entry(root, "lora", 15, telemetry=energy, labels=Labels(row="rank 4, 語")),
            entry(root, "qlora", 13, profile={"train": {"learning_rate": 1e-3}}),
            entry(root, "late", None, state="training", events=training_events()[:4]),
            entry(root, "other", 20, spec={"rows_hash": "77b20000"}),
        ],
        floor=True,
    )


@pytest.mark.parametrize(
    ("value", "unit", "digits", "text"),
    [
        (0.543, "fraction", 2, ".54"),
        (0.5436, "fraction", 3, ".544"),
        (1.0, "fraction", 2, "1.00"),
        (0.996, "fraction", 2, "1.00"),
        (0.0, "fraction", 2, ".00"),
        (-0.31, "fraction", 2, "-.31"),
        (1.2345, "perplexity", 2, "1.23"),
        (17.43, "perplexity", 2, "17.4"),
        (174.3, "perplexity", 2, "174"),
        (1204.5, "perplexity", 2, "1,204"),
        (0.0123, "bits/byte", 2, "0.0123"),
        (float("inf"), "perplexity", 2, "inf"),
        (float("nan"), "fraction", 2, "nan"),
    ],
)
def test_quality(value: float, unit: str, digits: int, text: str) -> None:
    assert quality(value, unit, digits) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "seconds", "-"),
        (125.0, "seconds", "02:05"),
        (41_234.0, "count", "41.2k"),
        (11_200_000_000, "bytes", "11.20 GB"),
        (312.4, "watts", "312"),
        (0.69, "small", "0.69"),
        (True, "text", "yes"),
        (False, "text", "no"),
        ("resident set", "text", "resident set"),
        ("nan", "seconds", "nan"),
    ],
)
def test_cost(value: Any, unit: str, text: str) -> None:
    assert cost(value, unit) == text


@pytest.mark.parametrize(
    ("detail", "text"),
    [(FULL, ".543* [.472 .611]"), (BRACKETS, ".54* [.47 .61]"), (HALF, ".54* ±.07"), (PLAIN, ".54*")],
)
def test_intervals_in_a_cell(detail: int, text: str) -> None:
    column = Column("json_match", "JSON match", "fraction", "higher", quality=True)
    row = Entry("r", metrics={"json_match": {"value": 0.543, "low": 0.472, "high": 0.611}})
    assert cell(row, column, detail, mark="*") == text
    assert cell(Entry("r"), column, detail) == "-"
    unknown = Entry("r", metrics={"json_match": {"value": 0.5, "low": None, "high": None}})
    assert cell(unknown, column, BRACKETS) == ".50"


def test_intervals_without_special_signs() -> None:
    row = Entry("r", metrics={"bleu": {"value": 0.5, "low": 0.4, "high": 0.6}})
    assert cell(row, Column("bleu", "BLEU", "fraction", quality=True), HALF, ASCII) == ".50 +-.10"


@pytest.mark.parametrize(
    ("detail", "text"), [(BRACKETS, "+.35 [+.30 +.40] p=.012"), (HALF, "+.35 p=.012"), (PLAIN, "+.35")]
)
def test_differences_in_a_cell(detail: int, text: str) -> None:
    delta = Delta(0.35, 0.3, 0.4, 0.004, 0.012, 20, "paired bootstrap")
    column = Column("bleu", "BLEU", "fraction", quality=True)
    assert delta_cell(delta, column, detail) == text
    assert delta_cell(None, column, detail) == "-"


@pytest.mark.parametrize(("value", "text"), [(None, "p -"), (0.0002, "p<.001"), (0.04, "p=.040"), (1.0, "p=1.000")])
def test_p_values(value: float | None, text: str) -> None:
    assert p_value(value) == text


@pytest.mark.parametrize("width", [*range(10, 60, 7), 80, 100, 120, 160, 200, 400])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_no_line_is_wider_than_the_terminal(table: Table, width: int, ascii_only: bool) -> None:
    text = as_text(table, width, ascii_only=ascii_only)
    assert max(map(display_width, text.splitlines())) <= width
    assert text.isascii() == ascii_only


def grid(text: str) -> list[list[str]]:
    """Return the words of the first block of lines."""
    return [line.split() for line in text.split("\n\n")[0].splitlines()]


def test_at_80_columns_quality_and_cost_stand_one_above_the_other(table: Table) -> None:
    text = as_text(table, 80)
    quality_block, cost_block = text.split("\n\n")[:2]
    assert "JSON match" in quality_block.splitlines()[0]
    assert "train time" in cost_block.splitlines()[0]
    lora = next(line for line in quality_block.splitlines() if line.startswith("rank 4"))
    assert ".75* ±." in lora
    assert "No room for" in text
    assert "ROUGE-2" in text.split("No room for")[1].split("Differences")[0]


def test_with_room_for_all_everything_is_in_one_grid(table: Table) -> None:
    text = as_text(table)
    header = text.splitlines()[0]
    assert all(label in header for label in ("method", "JSON match", "perplexity", "train time", "Wh", "artifact"))
    assert "No room" not in text
    assert "[" in text.splitlines()[2]


def test_intervals_lose_digits_before_columns_go(table: Table) -> None:
    def lora(width: int | None) -> str:
        return next(line for line in as_text(table, width).splitlines() if line.startswith("rank 4"))

    full = max(map(display_width, as_text(table).split("\n\n")[0].splitlines()))
    assert ".750* [.550 .9" in lora(full)
    assert ".75* [.55 .9" in lora(full - 1)
    assert "00:08" in lora(full - 1)
    assert "No room" not in as_text(table, full - 1)
    assert ".75* ±." in lora(80)
    assert "00:08" not in lora(80)
    assert "±" not in lora(20)


def test_long_names_are_cut_before_columns_go(tmp_path: Path) -> None:
    named = build_table([entry(tmp_path, "lora", 3, labels=Labels(row="a name " * 9))])
    first, second, *_ = as_text(named, 80).splitlines()
    assert second.startswith("a name a name a nam… ")
    assert all(label in first for label in ("JSON match", "exact match", "token F1", "BLEU"))


def test_cells_without_a_value_are_dashes_and_only_the_best_is_marked(table: Table) -> None:
    lines = {line.split()[0]: line for line in as_text(table, 80).split("\n\n")[0].splitlines()}
    assert lines["demo-late"].split()[1:] == ["-"] * (len(lines["demo-late"].split()) - 1)
    assert "*" in lines["rank"]
    assert "*" not in lines["demo-other"]
    assert "*" not in lines["ceiling"]


def test_beneath_stand_differences_signatures_warnings_and_notes(table: Table) -> None:
    text = as_text(table, 100)
    order = [text.index(part) for part in ("Differences to demo-baseline", "Signatures", "Warnings", "Notes")]
    assert order == sorted(order)
    assert "blocking: Test rows differ: a3f1" in text
    assert "exact match, token F1: norm:squad" in text
    assert "demo-late is lost, not evaluated." in text
    assert "Energy: no GPU, not measured" in text
    assert "floor answers each row with another row's reference." in text


def test_columns_that_nobody_has_are_left_out(tmp_path: Path) -> None:
    alone = as_text(build_table([entry(tmp_path, "lora", 10)]))
    assert "Wh" not in alone.splitlines()[0]
    assert "first token" not in alone.splitlines()[0]


@pytest.mark.parametrize(("view", "start"), [("text", "run "), ("md", "| run "), ("csv", "run,"), ("json", "{")])
def test_render(table: Table, view: str, start: str) -> None:
    text = render(table, view, width=80)
    assert text.startswith(start)
    assert text.endswith("\n")


def test_an_unknown_format(table: Table) -> None:
    with pytest.raises(UsageError, match="Did you mean 'json'"):
        render(table, "jsn")


def test_the_front_loads_nothing_heavy() -> None:
    names = ("views.text", "views.markdown", "views.data", "views.samples", "filters", "diff", "cost")
    imports = "; ".join(f"import lab.compare.{name}" for name in names)
    heavy = ("numpy", "pydantic", "sacrebleu", "rouge_score", "torch", "psutil", "tomlkit")
    code = f"{imports}; import sys; sys.exit(', '.join(set(sys.modules) & set({heavy})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


def test_an_empty_table_says_so() -> None:
    assert as_text(build_table([])) == "There are no rows to compare.\n"
    assert as_markdown(build_table([])) == "There are no rows to compare.\n"


def test_markdown(table: Table) -> None:
    text = as_markdown(table)
    lines = text.splitlines()
    assert lines[0].startswith("| run | method | JSON match |")
    assert lines[1].startswith("| --- | --- | ---: |")
    assert {line.replace("\\|", "").count("|") for line in lines[:9]} == {lines[0].count("|")}
    assert "**.75 \\[" in text
    assert "- blocking: Test rows differ" in text


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a|b", r"a\|b"),
        ("<img src=x>", r"\<img src=x\>"),
        ("[x](http://y)", r"\[x\](http://y)"),
        ("two\nlines", "two lines"),
        ("*b* `c`", r"\*b\* \`c\`"),
    ],
)
def test_names_cannot_break_out_of_markdown(text: str, escaped: str) -> None:
    assert escape(text) == escaped


def test_csv_has_every_column_at_full_precision(table: Table) -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(table))))
    lora = next(row for row in rows if row["name"].startswith("rank 4"))
    assert (float(lora["json_match"]), lora["method"], lora["kind"]) == (0.75, "lora", "run")
    assert float(lora["json_match_low"]) < 0.75 < float(lora["json_match_high"])
    assert float(lora["energy_total_wh"]) > 0
    assert rows[0]["run"] == ""
    assert next(row for row in rows if row["name"] == "demo-late")["json_match"] == ""


@pytest.mark.parametrize("name", ["=1+1", "+x", "-x", "@x"])
def test_csv_names_are_no_formulas(tmp_path: Path, name: str) -> None:
    table = build_table([entry(tmp_path, "lora", 3, labels=Labels(name=name))])
    assert f",'{name}," in as_csv(table)


def test_json(table: Table) -> None:
    value = json.loads(jsonio.dumps(as_json(table)))
    assert [row["kind"] for row in value["rows"]] == ["floor", "run", "run", "run", "run", "run", "ceiling"]
    floor, baseline, lora, *_ = value["rows"]
    assert floor["run"] is None
    assert (lora["profile"], lora["method"]) == ("demo-lora", "lora")
    assert set(lora["metrics"]["json_match"]) == {"value", "low", "high", "signature"}
    assert (lora["cost"]["train_seconds"], baseline["cost"]["train_seconds"]) == (8.0, None)
    assert lora["differences"]["json_match"]["difference"] == pytest.approx(0.7)
    assert value["reference"] == baseline["run"]
    assert {warning["level"] for warning in value["warnings"]} == {"blocking", "confounding"}
    assert any("not evaluated" in note for note in value["notes"])


def test_names_from_files_command_no_terminal(tmp_path: Path) -> None:
    poison = "\x1b]52;c;AAAA\x07\x1b[2J\x9b31mred\u202e"
    metrics = {"metrics": {f"m{poison}": {"value": 0.5, "signature": poison}}, "notes": {"bleu": poison}}
    run = make_run(tmp_path, labels=Labels(row=poison), metrics=metrics, environment={"host": {"cpu": poison}})
    info = read_run(run)
    assert info is not None
    table = build_table([load_entry(info)])
    for text in (as_text(table, 80), as_markdown(table), as_csv(table), str(as_json(table))):
        assert not any(mark in "\x1b\x07\x9b\u202e" for mark in text)
        assert "\\x1b" not in text


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("", 10, [""]),
        ("one two three", 7, ["one two", "three"]),
        ("one  two", 20, ["one  two"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ("ab abcdefghij", 4, ["ab", "abcd", "efgh", "ij"]),
        ("語言模型", 4, ["語言", "模型"]),
        ("語言模型", 5, ["語言", "模型"]),
        ("a\nb\n\nc", 5, ["a", "b", "", "c"]),
        ("a\tb", 9, ["a   b"]),
        ("  indented line", 10, ["  indented", "line"]),
    ],
)
def test_fold(text: str, width: int, lines: list[str]) -> None:
    assert fold(text, width) == lines


def test_hung_lines_are_indented_below_the_first() -> None:
    assert hung("note: ", "one two three four", 16) == ["note: one two", "      three four"]
    assert hung("note: ", "one two three four", None) == ["note: one two three four"]
    assert hung("a:1|", "b:2|c:3", 20, after="|") == ["a:1|b:2|c:3"]

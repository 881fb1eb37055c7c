"""Answers side by side: which rows are chosen, in which order, and how they are drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.compare.entry import Entry, load_entry
from lab.compare.samples import Sample, row_scores, samples, sort_label
from lab.compare.views.samples import samples_as_text
from lab.errors import DataError, UsageError
from lab.runs.store import read_run
from lab.scoring.answers import answers_from_rows
from lab.text import display_width
from tests.fixtures.folders import answered, make_run, right_answers

METRICS = ("token_f1", "json_match", "macro_f1", "perplexity")


def entry(root: Path, name: str, rows: list[dict[str, Any]], metrics: Any = METRICS) -> Entry:
    info = read_run(make_run(root, name, generations=rows, metrics=metrics))
    assert info is not None
    return load_entry(info)


@pytest.fixture
def pair(tmp_path: Path) -> list[Entry]:
    """Both right: row 0. Only lora right: 1 and 2. Both wrong, differently: 3. Both wrong alike: 4."""
    base = [*right_answers(5, 1)[:3], '{"class": "other"}', '{"class": "no"}']
    tuned = [*right_answers(5, 3)]
    return [entry(tmp_path, "baseline", answered(base)), entry(tmp_path, "lora", answered(tuned))]


def ids(found: list[Sample]) -> list[int]:
    return [int(sample.id.removeprefix("row-")) for sample in found]


def test_rows_come_as_they_were_asked(pair: list[Entry]) -> None:
    found = samples(pair, rows=2)
    assert ids(found) == [0, 1]
    baseline, lora = (e.id for e in pair)
    assert found[1].prompt == "question 1"
    assert found[1].references == ('{"class": "c1", "urgent": true}',)
    assert found[1].answers == {baseline: '{"class": "no"}', lora: '{"class": "c1", "urgent": true}'}
    assert found[1].finishes == {baseline: "stop", lora: "stop"}
    assert (found[1].scores[baseline]["json_match"], found[1].scores[lora]["json_match"]) == (0.0, 1.0)


def test_zero_rows_are_all(pair: list[Entry]) -> None:
    assert ids(samples(pair, rows=0)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"sort": "metric"}, [3, 4, 1, 2, 0]),
        ({"sort": "disagreement"}, [1, 2, 3, 0, 4]),
        ({"sort": "json_match"}, [3, 4, 1, 2, 0]),
        ({"sort": "metric", "search": "QUESTION 2"}, [2]),
        ({"search": '"c3"'}, [3]),
        ({"search": "other"}, [3]),
        ({"search": "nowhere"}, []),
        ({"sort": "disagreement", "search": "nowhere"}, []),
    ],
)
def test_order_and_search(pair: list[Entry], options: dict[str, str], expected: list[int]) -> None:
    assert ids(samples(pair, rows=0, **options)) == expected


@pytest.mark.parametrize("sort", ["index", "metric", "disagreement", "token_f1"])
def test_the_order_is_named(pair: list[Entry], sort: str) -> None:
    assert sort_label(pair, sort) == {"index": "", "token_f1": "token F1"}.get(sort, "JSON match")
    assert sort_label([], sort) == ""


def test_the_worst_perplexity_is_the_highest(tmp_path: Path) -> None:
    one = entry(tmp_path, "lora", answered(right_answers(3, 3), nll=[1.0, 9.0, 4.0]))
    assert ids(samples([one], rows=0, sort="perplexity")) == [1, 2, 0]


def test_rows_are_aligned_by_id_and_only_shared_ones_come(tmp_path: Path) -> None:
    first = answered(right_answers(4, 4))
    second = [first[3], first[1], {**first[2], "references": ["another"]}]
    pair = [entry(tmp_path, "a", first), entry(tmp_path, "b", second)]
    assert ids(samples(pair, rows=0)) == [1, 3]


def test_runs_that_share_no_row(tmp_path: Path) -> None:
    other = answered(["{}"], ["{}"])
    with pytest.raises(DataError, match="share no row"):
        samples([entry(tmp_path, "a", answered(right_answers(2, 1))), entry(tmp_path, "b", other)])


def test_runs_without_answers_are_left_out(tmp_path: Path, pair: list[Entry]) -> None:
    late = entry(tmp_path, "late", [], None)
    assert set(samples([late, *pair])[0].answers) == {e.id for e in pair}
    with pytest.raises(DataError, match="None of these runs"):
        samples([late])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sort": "metrik"}, "Did you mean 'metric'"),
        ({"sort": "macro_f1"}, "cannot be sorted by 'macro_f1'"),
        ({"sort": "json_mach"}, "Did you mean 'json_match'"),
        ({"sort": "bleu", "search": "nowhere"}, "cannot be sorted by 'bleu'"),
    ],
)
def test_what_cannot_be_sorted_by(pair: list[Entry], options: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        samples(pair, **options)  # type: ignore[arg-type]


def test_macro_f1_has_no_rows() -> None:
    scores = row_scores(answers_from_rows(answered(right_answers(2, 1))), METRICS)
    assert [set(row) for row in scores] == [{"token_f1", "json_match", "perplexity"}] * 2
    assert [row["json_match"] for row in scores] == [1.0, 0.0]


def test_texts_are_scored_raw_and_shown_clean(tmp_path: Path) -> None:
    poison = "\x1b]0;owned\x07"
    rows = answered([f"{poison}yes"], ["yes"], prompt=[f"{poison}[bold]why[/bold]"])
    found = samples([entry(tmp_path, "lora", rows, ("exact_match",))])[0]
    assert (*found.answers.values(), found.prompt) == ("yes", "[bold]why[/bold]")
    assert [score["exact_match"] for score in found.scores.values()] == [0.0]
    assert "\x1b" not in str(found.as_json())


SAMPLE = Sample(
    id="row-7",
    prompt="What is it?\nSay.",
    references=("a fox",),
    answers={"r1": "", "r2": "a fox, quick and brown, over the lazy dog " * 4},
    finishes={"r1": "error", "r2": "length"},
    scores={"r1": {"exact_match": 0.0}, "r2": {"exact_match": 0.0, "token_f1": 0.42}},
)
RUNS = [Entry("r1", name="baseline"), Entry("r2", name="lora")]


def test_narrow_terminals_stack_the_answers() -> None:
    lines = samples_as_text([SAMPLE], RUNS, 60).splitlines()
    assert lines[0] == "── row-7 " + "─" * 51
    assert lines[1:4] == ["prompt", "  What is it?", "  Say."]
    assert "baseline  exact match .00  failed" in lines
    assert lines[lines.index("baseline  exact match .00  failed") + 1] == "  (empty)"
    assert "lora  exact match .00  token F1 .42  cut at the token limit" in lines


def test_wide_terminals_put_them_beside_each_other() -> None:
    lines = samples_as_text([SAMPLE], RUNS, 150).splitlines()
    heads = next(line for line in lines if line.startswith("reference"))
    assert "│ baseline" in heads
    assert "│ lora" in heads


@pytest.mark.parametrize("width", [20, 41, 80, 150, 300])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_no_line_is_wider_than_the_terminal(width: int, ascii_only: bool) -> None:
    wide = Sample("ид" * 40, "词" * 300, ("语言" * 90,), {"r1": "x" * 500, "r2": "ü ö " * 99})
    text = samples_as_text([SAMPLE, wide], RUNS, width, ascii_only=ascii_only)
    assert max(map(display_width, text.splitlines())) <= width
    assert text.isascii() == ascii_only


def test_long_texts_say_how_much_is_left_out() -> None:
    long = Sample("r", "\n".join(map(str, range(30))), ("x",), {"r1": "y"})
    text = samples_as_text([long], RUNS, 60, lines=10)
    assert "  9\n  (20 more lines)\n" in text
    assert "more" not in samples_as_text([long], RUNS, 60, lines=0)


def test_no_samples() -> None:
    assert samples_as_text([], RUNS) == "No row fits.\n"


def test_runs_without_common_metrics_keep_their_order(tmp_path: Path) -> None:
    pair = [entry(tmp_path, n, answered(["{}", "x"]), (m,)) for n, m in (("a", "bleu"), ("b", "json_match"))]
    assert ids(samples(pair)) == [0, 1]
    with pytest.raises(UsageError, match="no metric in common"):
        samples(pair, sort="disagreement")


def test_names_come_from_the_entries(pair: list[Entry]) -> None:
    assert "demo-lora" in samples_as_text(samples(pair, rows=1), pair, 80)

"""`lab compare`, `samples`, `eval --rescore`, `profiles` and `study`: what they print and what they refuse."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import tomli

from lab import atomic
from lab.profile.study import load_study
from lab.runs.labels import Labels
from lab.runs.paths import RunPaths, evaluations
from tests.fixtures.folders import answered, make_run, right_answers
from tests.unit.cli.conftest import Lab


@pytest.fixture
def pair(home: Path) -> tuple[RunPaths, RunPaths]:
    """Return a baseline with nothing right and a tuned run with six of eight right."""
    one = make_run(home, "baseline", generations=answered(right_answers(8, 0)))
    return one, make_run(home, "lora", generations=answered(right_answers(8, 6)))


# --- compare


def test_json_has_the_shape_of_the_design(lab: Lab, pair: tuple[RunPaths, RunPaths]) -> None:
    said = lab("compare", *(run.id for run in pair), "--json", "--no-floor")
    assert said.json.keys() >= {"rows", "warnings"}
    assert [row["run"] for row in said.json["rows"]] == [run.id for run in pair]
    for row, value in zip(said.json["rows"], (0.0, 0.75), strict=True):
        assert row["kind"] == "run"
        assert row["metrics"]["json_match"].keys() >= {"value", "low", "high", "signature"}
        assert row["metrics"]["json_match"]["value"] == value
        assert isinstance(row["cost"], dict)
    assert said.json == lab("compare", *(run.id for run in pair), "--no-floor", "--format", "json").json


def test_every_view_has_every_run(lab: Lab, pair: tuple[RunPaths, RunPaths]) -> None:
    ids = [run.id for run in pair]
    rows = list(csv.reader(io.StringIO(lab("compare", *ids, "-f", "csv").out)))
    assert len({len(row) for row in rows}) == 1
    assert [any(run in row for row in rows) for run in ids] == [True, True]
    for view in ("text", "md"):
        said = lab("compare", *ids, "-f", view)
        assert said.code == 0
        assert "demo-baseline" in said.out
        assert "demo-lora" in said.out
    floors = lab("compare", *ids, "--json").json["rows"]
    assert {row["kind"] for row in floors} == {"run", "floor", "ceiling"}


def test_the_untuned_model_joins_the_table_of_a_tuned_one(lab: Lab, pair: tuple[RunPaths, RunPaths]) -> None:
    base, tuned = (run.id for run in pair)
    rows = lab("compare", tuned, "--json").json["rows"]
    assert [(row["kind"], row["run"]) for row in rows] == [
        ("floor", None),
        ("run", base),
        ("run", tuned),
        ("ceiling", None),
    ]
    assert [row["run"] for row in lab("compare", tuned, "--no-floor", "--json").json["rows"]] == [tuned]


def test_wrong_arguments_are_refused(lab: Lab, pair: tuple[RunPaths, RunPaths]) -> None:
    lab("compare", "latest", "-f", "jsn").refused(2, "no format 'jsn'", "Did you mean 'json'?")
    lab("compare", "latest", "nobody").refused(3, "'nobody'")
    lab("compare", "2027").refused(2, "fits 2 runs")


def test_strict_refuses_other_test_rows(lab: Lab, home: Path, pair: tuple[RunPaths, RunPaths]) -> None:
    ids = [run.id for run in pair]
    assert lab("compare", *ids, "--strict").code == 0
    other = make_run(
        home, "other", spec={"test_hash": "dddd", "rows_hash": "eeee"}, data={"splits": {"test": {"hash": "dddd"}}}
    )
    lab("compare", *ids, other.id, "--strict").refused(2, "--strict")
    loose = lab("compare", *ids, other.id, "--json")
    assert loose.code == 0
    assert any(warning["level"] == "blocking" for warning in loose.json["warnings"])
    words = "Test rows differ: a3f1 (demo-baseline, demo-lora), eeee (demo-other); their quality figures may not be"
    assert words in " ".join(lab("compare", *ids, other.id).out.split())
    lab("compare", *ids, other.id, "--strict").refused(2, "Test rows differ", "lab eval")
    assert lab("runs", "diff", ids[0], other.id, "--json").code == 0


def test_runs_without_answers_are_rows_all_the_same(lab: Lab, home: Path) -> None:
    make_run(home, "lora", metrics=None, state="failed", events=[])
    row = lab("compare", "latest", "--json").json["rows"][0]
    assert row["metrics"] == {}
    assert "not evaluated" in lab("compare", "latest").out
    lab("samples", "latest").refused(2, "None of these runs has answers", "lab eval")


# --- samples


def test_samples_stand_side_by_side(lab: Lab, pair: tuple[RunPaths, RunPaths]) -> None:
    ids = [run.id for run in pair]
    found = lab("samples", *ids, "-n", "2", "--json").json["samples"]
    assert [sample["id"] for sample in found] == ["row-0", "row-1"]
    assert found[0]["answers"] == {ids[0]: '{"class": "no"}', ids[1]: '{"class": "c0", "urgent": true}'}
    assert len(lab("samples", *ids, "-n", "0", "--json").json["samples"]) == 8
    text = lab("samples", *ids, "--search", "question 7").out
    assert text.count("question 7") == 1
    assert "question 1" not in text
    assert lab("samples", *ids, "--search", "nobody says this").out == "No row fits.\n"
    apart = lab("samples", *ids, "--sort", "disagreement", "-n", "8", "--json").json["samples"]
    assert {sample["id"] for sample in apart[-2:]} == {"row-6", "row-7"}
    lab("samples", *ids, "--sort", "bleuu").refused(2, "cannot be sorted by 'bleuu'")


def test_samples_go_to_a_file(lab: Lab, pair: tuple[RunPaths, RunPaths]) -> None:
    said = lab("samples", "baseline", "-o", "out.txt")
    assert said.out == ""
    assert Path("out.txt").read_text() == lab("samples", "baseline").out
    lab("samples", "baseline", "-o", "missing/out.txt").refused(1, "missing/out.txt", "No such file or directory")


# --- eval


def test_rescoring_needs_only_the_answers(lab: Lab, pair: tuple[RunPaths, RunPaths], spawned: list[str]) -> None:
    path = evaluations(pair[1])[0].metrics
    assert lab("eval", "lora", "--rescore", "--json").json == {"runs": [pair[1].id]}
    once = json.loads(path.read_text())
    altered = {**once, "metrics": {name: {"value": 0.123} for name in once["metrics"]}, "rows": 3}
    atomic.write_json(path, altered)
    said = lab("eval", "lora", "--rescore")
    assert said.err == f"{pair[1].id}: scored 8 answers again\n"
    assert json.loads(path.read_text()) == once
    assert once["cost"]["generated_tokens"] == 40
    assert spawned == []


def test_rescoring_what_was_never_answered_says_so(lab: Lab, home: Path) -> None:
    run = make_run(home, "lora", metrics=None)
    lab("eval", "lora", "--rescore").refused(3, f"{run.id} has no answers", "lab eval")


def test_rescoring_never_replaces_figures_by_nothing(lab: Lab, pair: tuple[RunPaths, RunPaths]) -> None:
    paths = evaluations(pair[1])[0]
    once = paths.metrics.read_bytes()
    answers = paths.generations.read_bytes()
    paths.generations.unlink()
    lab("eval", "lora", "--rescore").refused(3, "has no answers")
    assert paths.metrics.read_bytes() == once
    paths.generations.write_bytes(answers)
    paths.metrics.write_text("{torn")
    assert lab("eval", "lora", "--rescore").code == 0
    assert json.loads(paths.metrics.read_text())["metrics"].keys() >= {"bleu", "token_f1"}


@pytest.mark.parametrize(
    ("state", "words"), [("stopped", ["has no adapter yet", "lab runs resume"]), ("lost", ["has no adapter yet"])]
)
def test_nothing_is_evaluated_without_weights(
    lab: Lab, home: Path, spawned: list[str], state: str, words: list[str]
) -> None:
    events: list[dict[str, Any]] = [{"type": "phase", "phase": "training", "t": 1.0}]
    run = make_run(home, "lora", state="stopped" if state == "stopped" else "training", events=events, metrics=None)
    lab("eval", "lora").refused(1, *words)
    assert spawned == []
    assert not run.jobs.exists()


# --- profiles


def test_profiles_are_listed_with_broken_ones(lab: Lab) -> None:
    Path("profiles").mkdir()
    Path("profiles/broken.toml").write_text('description = "\\u001b]0;x\\u0007"\n[method]\nrnak = 1')
    Path("profiles/odd.toml").write_text('extends = "demo-lora"\ndescription = "\\u001b[31mred\\u009b1m"')
    rows = {row["name"]: row for row in lab("profiles", "list", "--json").json["profiles"]}
    assert {"demo-baseline", "demo-lora", "demo-qlora", "broken", "odd"} <= rows.keys()
    assert rows["demo-qlora"]["method"] == "qlora"
    assert rows["broken"]["method"] == "broken"
    said = lab("profiles", "list")
    assert not set(said.out) & set("\x1b\x07\x9b")
    assert "red" in said.out


def test_values_are_shown_with_their_origin(lab: Lab) -> None:
    shown = lab("profiles", "show", "demo-qlora", "--set", "method.rank=4", "--json").json
    assert shown["values"]["method.rank"] == 4
    assert shown["origins"]["method.rank"]["layer"] == "flag"
    assert shown["origins"]["method.kind"]["layer"] == "file"
    assert shown["origins"]["method.kind"]["file"].endswith("demo-qlora.toml")
    assert shown["origins"].keys() == shown["values"].keys()
    line = next(line for line in lab("profiles", "show", "demo-qlora").out.splitlines() if "method.kind" in line)
    assert line.split()[:2] == ["method.kind", '"qlora"']


def test_validating_stops_at_the_first_that_fails(lab: Lab) -> None:
    assert lab("profiles", "validate", "demo-lora", "demo-qlora", "--json").json == {
        "valid": ["demo-lora", "demo-qlora"]
    }
    Path("bad.toml").write_text('extends = "demo-lora"\n[method]\nrank = 0')
    said = lab("profiles", "validate", "demo-lora", "bad.toml")
    assert said.code == 2
    assert said.out == "demo-lora is valid\n"
    assert "bad.toml:3" in said.err


def test_a_new_profile_is_valid_and_says_only_what_differs(lab: Lab) -> None:
    sets = ("--set", "method.rank=4", "--set", "data.source.0.train=5", "--set", "evaluate.rows=7")
    assert lab("profiles", "new", "mine", *sets, "--json").json == {"name": "mine", "file": "profiles/mine.toml"}
    tree = tomli.loads(Path("profiles/mine.toml").read_text())
    assert tree["extends"] == "demo-lora"
    assert tree["method"] == {"rank": 4}
    assert tree["evaluate"] == {"rows": 7}
    values = lab("profiles", "show", "mine", "--json").json["values"]
    same = lab("profiles", "show", "demo-lora", *sets, "--json").json["values"]
    assert {**values, "description": ""} == {**same, "description": ""}


def test_a_new_profile_never_replaces_or_extends_itself(lab: Lab) -> None:
    lab("profiles", "new", "demo-lora").refused(2, "would extend itself")
    lab("profiles", "new", "mine", "--from", "nobody").refused(3, "no profile 'nobody'")
    lab("profiles", "new", "mine", "--set", "method.rnak=4").refused(2, "Did you mean 'rank'?")
    lab("profiles", "new", "../mine").refused(2, "is no name for a profile")
    assert not Path("profiles").exists()
    assert lab("profiles", "new", "mine").code == 0
    written = Path("profiles/mine.toml").read_bytes()
    lab("profiles", "new", "mine", "--set", "method.rank=4").refused(2, "is there already")
    assert Path("profiles/mine.toml").read_bytes() == written


def test_a_new_profile_can_extend_a_file(lab: Lab) -> None:
    Path("here.toml").write_text('extends = "demo-lora"\n[method]\nrank = 3\n')
    assert lab("profiles", "new", "mine", "--from", "here.toml").code == 0
    assert lab("profiles", "show", "mine", "--json").json["values"]["method.rank"] == 3


# --- studies


def finish(home: Path, row: str, study: str = "demo") -> RunPaths:
    """Make the run of one row of a study, as it looks when done."""
    resolved = next(one.resolved for one in load_study(study).rows if one.name == row)
    method = resolved.profile.method.kind
    run = make_run(home, f"row-{method}", method=method, labels=Labels(study=study, row=row))
    atomic.write_json(run.state, {**json.loads(run.state.read_text()), "profile_hash": resolved.hash})
    return run


def test_studies_are_listed_and_planned(lab: Lab, home: Path) -> None:
    assert "demo" in lab("study", "list", "--json").json["studies"]
    plan = lab("study", "plan", "demo", "--json").json
    assert [row["row"] for row in plan["rows"]] == ["baseline", "LoRA", "QLoRA"]
    assert [row["done"] for row in plan["rows"]] == [None, None, None]
    assert not home.exists()
    run = finish(home, "LoRA")
    assert [row["done"] for row in lab("study", "plan", "demo", "--json").json["rows"]] == [None, run.id, None]
    assert run.id in lab("study", "plan", "demo").out
    other = lab("study", "plan", "demo", "--set", "method.rank=4", "--json").json
    assert [row["done"] for row in other["rows"]] == [None, None, None]


def test_a_study_shows_what_is_done(lab: Lab, home: Path) -> None:
    lab("study", "show", "demo").refused(3, "No row of study demo is done", "lab study run demo")
    lab("study", "show", "demo", "--json").refused(3, "No row of study demo is done")
    run = finish(home, "LoRA")
    rows = lab("study", "show", "demo", "--json").json["rows"]
    assert [row["run"] for row in rows if row["kind"] == "run"] == [run.id]
    assert {row["kind"] for row in rows} == {"run", "floor", "ceiling"}
    assert "LoRA" in lab("study", "show", "demo").out


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[study]\nprofile = 'demo-lora'", ["has no rows"]),
        ("[study]\nbaseline = true", ["names no profile"]),
        ("[study]\nprofil = 'x'", ["study.profil"]),
        ("[study]\nprofile = 'demo-lora'\n[[study.axis]]\nkey = 'method.rnak'\nvalues = [4]", ["Did you mean 'rank'?"]),
        ("[[study.row]]\nname = 'a'\nprofile = 'demo-lora'\n" * 2, ["two rows called 'a'"]),
    ],
)
def test_broken_studies_start_nothing(lab: Lab, home: Path, spawned: list[str], content: str, words: list[str]) -> None:
    Path("broken.toml").write_text(content)
    for verb in ("plan", "run", "show"):
        lab("study", verb, "broken.toml").refused(2, *words)
    assert spawned == []
    assert not home.exists()


def test_a_study_starts_what_is_missing_and_resumes_nothing_twice(lab: Lab, home: Path, spawned: list[str]) -> None:
    done = finish(home, "LoRA")
    said = lab("study", "run", "demo", "--detach", "--json")
    assert said.code == 0
    assert [run["id"] for run in said.json["runs"]] == spawned
    assert len(spawned) == 2
    assert f"LoRA: done already ({done.id})" in said.err

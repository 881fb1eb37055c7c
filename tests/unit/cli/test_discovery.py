"""What ships is found, what was typed is repeated, and what exists elsewhere is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab import atomic
from lab.cli.misuse import OTHER_NAMES
from lab.profile.study import load_study
from lab.runs.labels import Labels
from tests.fixtures.folders import make_run
from tests.unit.cli.conftest import Lab


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        (["watch"], "It is `lab runs watch`."),
        (["merge", "x"], "It is `lab export merge`."),
        (["runs", "merge"], "It is `lab export merge`."),
        (["list"], "It is `lab profiles list`, `lab study list` or `lab runs list`."),
        (["run"], "It is `lab train` or `lab study run`."),
        (["ls"], "It is `lab runs list`."),
        (["tui"], "It is `lab`."),
        (["wach"], "Did you mean `lab runs watch`?"),
        (["zzzz"], "See `lab -h`."),
    ],
)
def test_a_verb_without_its_group_is_found(lab: Lab, line: list[str], remedy: str) -> None:
    said = lab(*line)
    said.refused(2, f"No such command '{line[1] if line[0] == 'runs' else line[0]}'.")
    assert said.err.splitlines()[-1].strip() == remedy


def test_every_other_name_leads_to_a_command(lab: Lab) -> None:
    for path in {path for paths in OTHER_NAMES.values() for path in paths}:
        assert lab(*path.split(), "--help").code == 0, path


def test_parents_are_listed_with_all(lab: Lab) -> None:
    said = lab("profiles", "list")
    assert "base/" not in said.out
    assert "`lab profiles list --all`" in said.err
    every = lab("profiles", "list", "--all")
    assert "base/llama3-8b-pubmedqa  lora" in every.out
    assert every.err == ""
    assert {"base/demo", "demo-lora"} <= {
        row["name"] for row in lab("profiles", "list", "-a", "--json").json["profiles"]
    }


def test_studies_are_listed_with_what_they_ask(lab: Lab) -> None:
    Path("profiles/studies").mkdir(parents=True)
    Path("profiles/studies/odd.toml").write_text("[study]\nx = 1\n")
    said = lab("study", "list")
    assert "Does tuning a few million parameters teach the bundled model" in said.out
    assert "broken: odd.toml" in said.out
    found = lab("study", "list", "--json").json
    assert {"demo", "odd"} <= set(found["studies"])
    details = {row["name"]: row for row in found["details"]}
    assert details["demo"]["rows"] == len(load_study("demo").rows)
    assert details["odd"]["rows"] is None


@pytest.mark.parametrize("verb", [["study", "show"], ["report"]])
@pytest.mark.parametrize(
    ("asked", "command"),
    [
        (["demo"], "lab study run demo"),
        (["demo", "--scale", "small"], "lab study run demo --scale small"),
        (["demo", "-s", "method.rank=4"], "lab study run demo --set method.rank=4"),
        (["mine/s6.toml", "--set", "train.seed=1", "--scale", "small"],
         "lab study run mine/s6.toml --set train.seed=1 --scale small"),
    ],
)  # fmt: skip
def test_the_remedy_repeats_what_was_asked(lab: Lab, verb: list[str], asked: list[str], command: str) -> None:
    Path("mine").mkdir()
    Path("mine/s6.toml").write_text('[study]\nprofile = "demo-lora"\nbaseline = true\n')
    lab(*verb, *asked).refused(3, "No row of study", f"Run it: `{command}`.")


@pytest.mark.parametrize("verb", [["study", "show"], ["report"]])
def test_runs_with_other_settings_are_told(lab: Lab, home: Path, verb: list[str]) -> None:
    for state in ("completed", "failed"):
        run = make_run(home, state, state=state, labels=Labels(study="demo", row="LoRA"))
        atomic.write_json(run.state, {**json.loads(run.state.read_text()), "profile_hash": "other"})
    said = lab(*verb, "demo")
    said.refused(3, "is done as asked; 1 run of it was made with other settings.", "Repeat their --set")
    assert "`lab runs list -q study=demo`" in said.err
    assert "`lab compare`, or run it: `lab study run demo`." in said.err


def test_the_label_of_a_small_study_is_no_run(lab: Lab, home: Path) -> None:
    make_run(home, "x", labels=Labels(study="demo-small", row="LoRA"))
    lab("report", "demo-small").refused(3, "It is a study: `lab study show demo --scale small`.")


@pytest.mark.parametrize("verb", ["plan", "train"])
def test_a_study_is_named_where_a_profile_is_due(lab: Lab, verb: str) -> None:
    lab(verb, "methods").refused(3, "no profile 'methods'", "It is a study: `lab study run methods`.")

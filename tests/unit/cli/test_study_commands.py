"""`lab study plan` and `run`: stages, what is done, what is refused; no worker starts here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Lab

STUDY = """[study]
description = "two ways"
profile = "plain"
seeds = [1, 2]
[[study.row]]
name = "chain"
stages = [{}, {set = {model.adapter = "previous", model.adapter_mode = "stack"}}]
"""


@pytest.fixture(autouse=True)
def _study(home: Path) -> None:
    Path("profiles/studies").mkdir(parents=True)
    Path("profiles/plain.toml").write_text('[[data.source]]\nname = "bundled:helpdesk"\n')
    Path("profiles/studies/s.toml").write_text(STUDY)
    rows = '[[study.row]]\nname = "b"\n[[study.row]]\nname = "a"\nset = {method.rank = 4}\n'
    Path("profiles/studies/t.toml").write_text(f'[study]\nprofile = "plain"\n{rows}')


def test_plan_lists_stages_in_order(lab: Lab) -> None:
    shown = lab("study", "plan", "s", "--json").json
    names = [f"chain, seed {seed}, stage {stage}" for seed in (1, 2) for stage in (1, 2)]
    assert [row["row"] for row in shown["rows"]] == names
    assert [row["after"] for row in shown["rows"]] == [None, names[0], None, names[2]]
    assert "train.seed" in shown["axes"]
    assert names[3] in lab("study", "plan", "s").out


def test_run_starts_every_row_in_order_and_tells_them(lab: Lab, spawned: list[str]) -> None:
    said = lab("study", "run", "t", "--detach", "--json")
    assert [run["id"] for run in said.json["runs"]] == spawned
    assert said.err.splitlines() == [f"{name}: {run}" for name, run in zip(("b", "a"), spawned, strict=True)]


def test_previous_is_refused_outside_a_stage(lab: Lab, spawned: list[str]) -> None:
    lab("train", "plain", "--set", "model.adapter=previous").refused(2, "a stage of a study alone", "run:<id>")
    lab("train", "plain", "--set", "model.adapter=run:7f3a").refused(3, "There are no runs")
    lab("study", "run", "s", "--set", "model.name=./nowhere").refused(3, "'./nowhere' does not exist")
    assert spawned == []

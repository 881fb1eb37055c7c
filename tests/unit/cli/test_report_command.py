"""`lab report`: of a study, of runs, in each form; what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab import atomic
from lab.compare.report import picture
from lab.profile.scale import load_scaled
from lab.runs.labels import Labels
from lab.runs.paths import RunPaths
from tests.fixtures.folders import answered, make_run, right_answers
from tests.unit.cli.conftest import Lab


@pytest.fixture
def pair(home: Path) -> tuple[RunPaths, RunPaths]:
    one = make_run(home, "baseline", generations=answered(right_answers(8, 0)))
    return one, make_run(home, "lora", generations=answered(right_answers(8, 6)))


def pretend_done(home: Path, study: str, scale: str, rows: list[str]) -> None:
    """Make finished runs that stand for `rows` of a study."""
    found = load_scaled(study, (), scale)
    for row in found.rows:
        if row.name in rows:
            kind = row.resolved.profile.method.kind
            run = make_run(home, f"{kind}-{scale}", method=kind, labels=Labels(study=found.name, row=row.name))
            record = {**json.loads(run.state.read_text()), "profile_hash": row.resolved.hash}
            atomic.write_json(run.state, record)


def test_runs_become_one_page(lab: Lab, pair: tuple[RunPaths, RunPaths]) -> None:
    said = lab("report", "baseline", "lora", "-o", "out.html")
    assert (said.code, said.out) == (0, "out.html\n")
    assert said.err.startswith("demo-lora has the highest JSON match, .75 [")
    document = Path("out.html").read_text()
    assert document.startswith("<!doctype html>\n")
    assert "2 runs" in document
    assert f"lab report {pair[0].id} {pair[1].id}" in document
    assert document.count("<article") == 8


def test_markdown_and_json(lab: Lab, pair: tuple[RunPaths, RunPaths]) -> None:
    said = lab("report", "lora", "-o", "out.md", "--json")
    assert said.json.keys() == {"report", "name", "rows", "answer"}
    assert said.json["rows"] == 1
    assert Path("out.md").read_text().startswith(f"# {pair[1].id.replace('_', '')}".replace("#", "#"))


def test_a_study_is_reported_with_what_is_missing(lab: Lab, home: Path) -> None:
    pretend_done(home, "demo", "full", ["baseline", "LoRA"])
    said = lab("report", "demo", "-o", "out.html", "--json")
    assert said.json["name"] == "demo"
    assert said.json["rows"] == 2
    document = Path("out.html").read_text()
    assert "Does tuning a few million parameters" in document
    assert "QLoRA has no finished run." in document
    assert "lab study run demo" in document


def test_scales_are_apart(lab: Lab, home: Path) -> None:
    pretend_done(home, "demo", "small", ["LoRA"])
    assert lab("report", "demo", "--scale", "small", "--json").json["name"] == "demo-small"
    assert "lab study run demo --scale small" in Path("report.html").read_text()
    lab("report", "demo").refused(3, "No row of study demo is done", "lab study run demo")


def test_wrong_asks_are_refused(lab: Lab, pair: tuple[RunPaths, RunPaths]) -> None:
    lab("report", "lora", "-o", "x.htm").refused(2, "cannot be written as 'x.htm'", "Did you mean '.html'?")
    lab("report", "lora", "-o", "none/x.html").refused(3, "no folder none")
    lab("report", "lora", "baseline", "--scale", "small").refused(2, "is no study")
    lab("report", "nobody").refused(3, "'nobody'")
    lab("report", "nowhere.toml").refused(3, "no study 'nowhere.toml'")
    lab("report", "demo", "--scale", "smal").refused(2, "no scale 'smal'", "Did you mean 'small'?")


def test_a_png_without_a_browser_is_refused(
    lab: Lab, pair: tuple[RunPaths, RunPaths], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture.shutil, "which", lambda name: None)
    lab("report", "lora", "-o", "x.png").refused(3, "drawn by a browser", "apt install chromium")
    assert not Path("x.png").exists()

"""`lab samples A B --rate` on a terminal, `--ratings` afterwards."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from lab.runs.paths import RunPaths
from tests.fixtures.folders import answered, make_run
from tests.unit.cli.conftest import Lab, Said

ROWS = 6


@pytest.fixture
def pair(home: Path) -> tuple[RunPaths, RunPaths]:
    """Return two runs whose answers differ in six of eight rows."""
    texts = [[f"{name} {n}" for n in range(ROWS)] + ["same"] * 2 for name in ("apple", "pear")]
    one, two = (make_run(home, name, generations=answered(own)) for name, own in zip("ab", texts, strict=True))
    return one, two


@pytest.fixture
def rate(lab: Lab, pair: tuple[RunPaths, RunPaths], monkeypatch: pytest.MonkeyPatch) -> object:
    """Return a function that rates the pair with `keys`, one a line."""

    def call(*keys: str) -> Said:
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{key}\n" for key in keys)))
        return lab("samples", pair[0].id, pair[1].id, "--rate")

    return call


def test_rating_is_blind_and_ends_in_the_rate(rate: object, lab: Lab, pair: tuple[RunPaths, RunPaths]) -> None:
    assert callable(rate)
    said = rate("1", "2", "t", "s", "1", "2")
    assert said.code == 0
    *shown, summary, rest = said.out.rstrip().splitlines()
    assert not any(run.id in line for run in pair for line in shown)
    assert summary.startswith(f"{pair[0].id} wins ")
    assert "(2 of them the same answer)" in summary
    assert rest == "1 skipped, 0 left to judge"
    found = lab("samples", pair[0].id, pair[1].id, "--ratings", "--json").json
    assert found["wins"] + found["losses"] == 4
    assert (found["ties"], found["same"], found["skipped"], found["notes"]) == (3, 2, 1, [])
    assert found["low"] < found["rate"] < found["high"]
    assert lab("samples", pair[0].id, pair[1].id, "--ratings").out.startswith(summary)


def test_a_session_goes_on_where_it_was_left(rate: object, lab: Lab, pair: tuple[RunPaths, RunPaths]) -> None:
    assert callable(rate)
    said = rate("1", "f odd reference", "r", "q")
    assert "reference:" in said.out
    assert said.out.rstrip().splitlines()[-2] == "0 skipped, 5 left to judge"
    assert "odd reference" in said.out.rstrip().splitlines()[-1]
    assert rate("2").out.startswith("5 pairs to judge")  # and the end of the input leaves, too
    assert lab("samples", pair[0].id, pair[1].id, "--ratings", "--json").json["left"] == 4


def test_undo_asks_again(rate: object, lab: Lab, pair: tuple[RunPaths, RunPaths]) -> None:
    assert callable(rate)
    said = rate("1", "u", "q")
    assert said.out.count("1 of 6") == 2
    assert "no verdict yet" in said.out
    assert "nothing to take back" in rate("u").err


def test_an_unknown_key_shows_the_keys(rate: object) -> None:
    assert callable(rate)
    said = rate("x", "", "1", "q")
    assert "1 or 2 better" in said.err
    assert "2 of 6" in said.out


def test_of_a_long_prompt_the_end_is_shown(lab: Lab, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = "\n".join(f"line {n}" for n in range(30)) + "\n"
    for name, text in (("a", "x"), ("b", "")):
        make_run(home, name, generations=answered([text], prompt=[prompt]))
    monkeypatch.setattr(sys, "stdin", io.StringIO("q\n"))
    said = lab("samples", "0800-a", "0800-b", "--rate")
    assert "prompt (16 lines above left out)" in said.out
    assert "line 29" in said.out
    assert "line 15\n" not in said.out
    assert "(empty)" in said.out


def test_a_pair_is_two_runs(lab: Lab, pair: tuple[RunPaths, RunPaths]) -> None:
    lab("samples", pair[0].id, "--rate").refused(2, "takes two runs, not 1")
    lab("samples", pair[0].id, pair[0].id, "--ratings").refused(2, "against itself")

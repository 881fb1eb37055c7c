"""A command line that is wrong, a pipe that closes, a narrow terminal: two sentences, an exit code, no trace."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.cli.output import columns
from lab.runs.paths import RunPaths
from lab.text import display_width
from tests.unit.cli.conftest import Lab

LINE = [sys.executable, "-m", "lab"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["trian", "x"], ["No such command 'trian'", "Did you mean", "'train'", "See `lab -h`."]),
        (["runs", "lst"], ["No such command 'lst'", "See `lab runs -h`."]),
        (["plan"], ["There is nothing to train on.", "`lab profiles list`", "--data"]),
        (["profiles", "show"], ["Missing argument", "See `lab profiles show -h`."]),
        (["plan", "x", "--sett", "y"], ["--sett", "--set", "See `lab plan -h`."]),
        (["bench", "startup", "-n", "0"], ["--repeats", "See `lab bench startup -h`."]),
    ],
)
def test_a_wrong_command_line_ends_in_two_sentences(lab: Lab, line: list[str], words: list[str]) -> None:
    lab(*line).refused(2, *words)


def test_a_group_alone_prints_its_commands(lab: Lab) -> None:
    said = lab("runs")
    assert said.code == 2
    assert "Usage: lab runs" in said.out + said.err
    assert "prune" in said.out + said.err


@pytest.mark.parametrize("verb", ["chat", "serve-model"])
def test_a_run_that_trained_nothing_does_not_answer_as_its_base(lab: Lab, four: dict[str, RunPaths], verb: str) -> None:
    options = ["--ask", "hi"] if verb == "chat" else []
    lab(verb, four["failed"].id, *options).refused(1, "(failed) has no adapter yet", "lab runs resume")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_closed_streams_leave_no_trace(home: Path, closed: str) -> None:
    line = f"exec {sys.executable} -m lab profiles list --all {closed}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr == ""


def test_a_reader_that_has_seen_enough_is_no_failure(home: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*LINE, "profiles", "show", "demo-lora"], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_narrow_terminal_cuts_the_widest_columns_and_keeps_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    text = columns(("key", "value", "done"), [("model.name", "x" * 90, "yes"), ("a", "b", "no")])
    lines = text.splitlines()
    assert max(map(display_width, lines)) == 60
    assert lines[1].startswith("model.name  xxx")
    assert [line.split()[-1] for line in lines] == ["done", "yes", "no"]


def test_an_unknown_key_of_a_query_is_named(lab: Lab) -> None:
    lab("runs", "list", "-q", "zzz=3").refused(2, "zzz")

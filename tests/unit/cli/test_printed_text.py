"""Poison in a run's files: whatever a command prints of it, nothing but printable text reaches the terminal."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest

from lab import atomic
from lab.runs.labels import Labels
from lab.runs.paths import RunPaths
from tests.fixtures.folders import START, make_run
from tests.unit.cli.conftest import Lab

POISON = "\x1b]0;owned\x07\x1b[31mred\x1b[0m\x9b32m\u202eevil [bold]x[/bold]"


def printable(text: str) -> bool:
    """Tell whether nothing in `text` commands a terminal, reorders or hides."""
    return all(c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs") for c in text)


@pytest.fixture
def poisoned(home: Path) -> RunPaths:
    """Return a failed run with poison in whatever of it is text."""
    labels = Labels(name=POISON, tags=(POISON,), notes=POISON, study=POISON, row=POISON)
    events = [
        {"type": "phase", "t": START, "phase": "training", "detail": POISON},
        {"type": "end", "t": START + 9, "outcome": "failed", "reason": POISON, "remedy": POISON},
    ]
    run = make_run(home, "lora", events=events, state="failed", labels=labels)
    record = json.loads(run.state.read_text())
    texts = dict.fromkeys(("profile", "method", "model", "detail", "device"), POISON)
    end = {"outcome": "failed", "reason": POISON, "remedy": POISON}
    atomic.write_json(run.state, record | texts | {"end": end, "summary": {"metrics": {POISON: 0.5}}})
    run.log.write_text(POISON + "\n")
    environment = json.loads(run.environment.read_text())
    atomic.write_json(run.environment, environment | {POISON: POISON})
    return run


@pytest.mark.parametrize(
    "arguments",
    [
        ("runs", "list"),
        ("runs", "show", "latest"),
        ("runs", "logs"),
        ("runs", "watch"),
        ("runs", "rm", "latest"),
        ("runs", "stop", "latest"),
        ("runs", "resume", "latest"),
        ("runs", "label", "latest"),
        ("runs", "diff", "latest", "clean"),
        ("compare", "latest", "clean"),
        ("samples", "latest"),
    ],
)
@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_only_printable_text_is_printed(
    lab: Lab, home: Path, poisoned: RunPaths, arguments: tuple[str, ...], flags: tuple[str, ...]
) -> None:
    clean = make_run(home, "clean")
    atomic.write_json(clean.state, {**json.loads(clean.state.read_text()), "created": START - 1})
    said = lab(*arguments, *flags)
    assert printable(said.out), ascii(said.out)
    assert printable(said.err), ascii(said.err)
    if flags and said.out:
        assert said.json
    assert poisoned.folder.exists()


def test_markup_is_shown_as_it_stands(lab: Lab, poisoned: RunPaths) -> None:
    assert lab("runs", "logs").out == "redevil [bold]x[/bold]\n"
    assert "redevil [bold]x[/bold]" in lab("runs", "show", "latest").out

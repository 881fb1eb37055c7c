"""What the front may not pay for: each command and the console in a fresh interpreter, and the modules it loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"torch", "transformers", "datasets", "pandas", "peft", "trl", "bitsandbytes", "evaluate"}
DRAWING = {"textual", "plotext", "pydantic", "numpy", "rich"}
REPORT = "\nimport json, sys\nprint('\\n' + json.dumps([code, sorted({name.split('.')[0] for name in sys.modules})]))"


def loaded_by(code: str, home: Path) -> set[str]:
    """Run `code`, which sets `code` to 0 if all went well, and return the top-level modules it left loaded."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", code + REPORT],
        env={**os.environ, "LAB_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    status, modules = json.loads(done.stdout.splitlines()[-1])
    assert status == 0, done.stdout + done.stderr
    return set(modules)


def command(*words: str) -> str:
    return f"from lab.cli.app import run\ncode = run({list(words)!r})"


@pytest.mark.parametrize(
    "code",
    [
        command("--help"),
        command("--version"),
        command("runs", "list", "--json"),
        command("profiles", "list"),
        command("study", "plan", "demo"),
        command("bench", "--help"),
        "import lab.console\ncode = 0",
        "import lab.console.app\ncode = 0",
        "import lab.cli.doctor, lab.bench.doctor, lab.launching.workerchecks, lab.telemetry.doctor\ncode = 0",
        "import lab.cli.estimate, lab.bench.work, lab.bench.startup, lab.launching.child\ncode = 0",
    ],
)
def test_the_front_loads_no_training_library(code: str, tmp_path: Path) -> None:
    modules = loaded_by(code, tmp_path)
    assert "lab" in modules
    assert modules & HEAVY == set()


def test_help_loads_nothing_that_draws_or_validates(tmp_path: Path) -> None:
    assert loaded_by(command("--help"), tmp_path) & DRAWING == set()


def test_the_test_would_see_a_heavy_import(tmp_path: Path) -> None:
    (tmp_path / "pandas.py").write_text("")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nimport pandas\ncode = 0"
    assert loaded_by(code, tmp_path) & HEAVY == {"pandas"}

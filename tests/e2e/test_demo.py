"""The README's promise, on the bundled model: `lab demo --quick` ends in a table in which tuning pays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROWS = ("baseline", "LoRA", "QLoRA")


@pytest.mark.slow
def test_the_quick_demo_teaches_the_bundled_model(tmp_path: Path) -> None:
    places = {"LAB_HOME": str(tmp_path / "home"), "LAB_DEVICE_LOCKS": str(tmp_path / "locks")}
    inherited = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}  # both cores
    done = subprocess.run(
        [sys.executable, "-m", "lab", "demo", "--quick", "--json"],
        cwd=tmp_path,
        env={**inherited, **places},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads(done.stdout)["rows"]}
    match = {name: rows[name]["metrics"]["json_match"]["value"] for name in ROWS}
    assert match["LoRA"] - match["baseline"] >= 0.3
    assert match["QLoRA"] - match["baseline"] >= 0.3
    assert rows["floor"]["metrics"]["json_match"]["value"] < 0.2
    assert rows["LoRA"]["cost"]["energy_wh"] is None or rows["LoRA"]["cost"]["energy_wh"] > 0

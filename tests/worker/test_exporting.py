"""Export jobs as they are: real workers over a finished run, one that ends well and one that is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.launching.exports import ExportRequest, start_export
from lab.runs.lock import holder
from lab.runs.paths import RunPaths
from lab.runs.reader import read_json
from lab.runs.store import find_run
from tests.fixtures.tiny_families import save_family
from tests.fixtures.tiny_runs import wait_ended, wait_until
from tests.fixtures.untrained import finish, untrained, write_rows

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # PEFT asks transformers


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunPaths:
    monkeypatch.setenv("LAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LAB_DEVICE_LOCKS", str(tmp_path / "locks"))
    save_family(tmp_path / "model", "smollm2")
    write_rows(tmp_path)
    return finish(tmp_path / "home" / "runs", untrained(tmp_path, "evaluate.rows=4"))


def test_a_job_exports_and_leaves_the_run_as_it_ended(run: RunPaths, tmp_path: Path) -> None:
    before = run.state.read_text()
    job = start_export(find_run(run.id), ExportRequest("merge", tmp_path / "out", dtype="fp32"))
    assert wait_ended(job)["state"] == "completed", job.log.read_text()
    record = read_json(job.result) or {}
    assert record["parity"]["agreeing"] == record["parity"]["rows"] == 4
    assert (read_json(tmp_path / "out" / "export.json") or {})["run"] == run.id
    assert run.state.read_text() == before


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_job_that_is_ended_leaves_no_folder(number: signal.Signals, run: RunPaths, tmp_path: Path) -> None:
    job = start_export(find_run(run.id), ExportRequest("merge", tmp_path / "out", dtype="fp32"))
    part: Callable[[], bool] = (tmp_path / ".out.part" / "model.safetensors").exists
    wait_until(part)
    who = holder(job.lock)
    assert who is not None
    os.kill(who.pid, number)
    assert wait_ended(job)["state"] == {signal.SIGKILL: "lost", signal.SIGTERM: "stopped"}[number]
    assert not (tmp_path / "out").exists()
    assert read_json(job.result) is None

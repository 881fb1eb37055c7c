"""Which evaluations of a finished run may be asked for, and what a job that cannot begin leaves: nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.errors import LabError, OutOfSpaceError, ProfileError
from lab.launching.exports import ExportRequest, start_export
from lab.launching.jobs import check_evaluation, start_evaluation
from lab.launching.recorded import write_started
from lab.profile.load import load_profile
from lab.runs import lock
from lab.runs.paths import RunPaths
from lab.runs.store import RunInfo, list_runs, read_run
from tests.fixtures.folders import make_run


@pytest.fixture
def info(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunInfo:
    monkeypatch.setenv("LAB_HOME", str(tmp_path))
    run = make_run(tmp_path, "baseline")
    write_started(run, load_profile(str(run.profile)), None)
    found = read_run(run)
    assert found is not None
    return found


@pytest.mark.parametrize("key", ["model.name=other/model", "model.revision=v2", "method.kind=lora"])
def test_the_model_is_the_runs_own(info: RunInfo, key: str) -> None:
    with pytest.raises(ProfileError, match=f"with another {key.partition('=')[0]}"):
        check_evaluation(info, [key])


def test_how_it_is_asked_may_differ(info: RunInfo) -> None:
    asked = check_evaluation(info, ["evaluate.rows=3", "launch.gpus=0", "model.quantization=nf4", "model.dtype=fp32"])
    assert (asked.profile.evaluate.rows, asked.profile.quantization) == (3, "nf4")


def evaluate(info: RunInfo) -> RunPaths:
    return start_evaluation(info)


def export(info: RunInfo) -> RunPaths:
    return start_export(info, ExportRequest("merge", info.run.folder / "merged"))


@pytest.mark.parametrize("begin", [evaluate, export])
def test_a_job_whose_process_cannot_be_started_leaves_nothing(
    begin: Callable[[RunInfo], RunPaths], info: RunInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    with pytest.raises(LabError, match=r"The worker of .* could not be started .No such file") as caught:
        begin(info)
    assert "lab doctor" in caught.value.remedy
    assert list_runs(info.run.jobs) == []
    assert list(info.run.jobs.iterdir()) == []


@pytest.mark.parametrize("begin", [evaluate, export])
def test_a_job_whose_folder_cannot_be_written_leaves_nothing(
    begin: Callable[[RunInfo], RunPaths], info: RunInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(lock, "acquire", refuse)
    with pytest.raises(OutOfSpaceError, match=r"cannot be written .No space left on device"):
        begin(info)
    assert list(info.run.jobs.iterdir()) == []

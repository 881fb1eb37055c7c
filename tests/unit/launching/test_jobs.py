"""Which evaluations of a finished run may be asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import ProfileError
from lab.launching.jobs import check_evaluation
from lab.runs.store import RunInfo, read_run
from tests.fixtures.folders import make_run


@pytest.fixture
def info(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunInfo:
    monkeypatch.setenv("LAB_HOME", str(tmp_path))
    found = read_run(make_run(tmp_path, "baseline"))
    assert found is not None
    return found


@pytest.mark.parametrize("key", ["model.name=other/model", "model.revision=v2", "method.kind=lora"])
def test_the_model_is_the_runs_own(info: RunInfo, key: str) -> None:
    with pytest.raises(ProfileError, match=f"with another {key.partition('=')[0]}"):
        check_evaluation(info, [key])


def test_how_it_is_asked_may_differ(info: RunInfo) -> None:
    asked = check_evaluation(info, ["evaluate.rows=3", "launch.gpus=0", "model.quantization=nf4", "model.dtype=fp32"])
    assert (asked.profile.evaluate.rows, asked.profile.quantization) == (3, "nf4")

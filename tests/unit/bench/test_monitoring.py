"""What watching costs: segments in turn, a folder that is written to in the watched ones, readers that end."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest

from lab.bench import monitoring
from lab.bench.monitoring import Found, following, measure
from lab.runs.paths import RunPaths
from lab.runs.reader import read_all


@pytest.mark.parametrize(
    ("watched", "bare", "share", "met"),
    [([1.0, 1.005, 1.5], [1.0, 1.0, 1.0], 0.005, True), ([1.02], [1.0], 0.02, False), ([0.99], [1.0], -0.01, True)],
)
def test_share_is_the_median_of_neighbours(watched: list[float], bare: list[float], share: float, met: bool) -> None:
    found = Found("cpu", watched, bare)
    assert found.share == pytest.approx(share)
    assert found.met is met
    assert json.loads(json.dumps(found.as_json()))["met"] is met


def test_readers_end_with_the_measurement(tmp_path: Path) -> None:
    with following(RunPaths(tmp_path), 2) as pids:
        assert all(psutil.pid_exists(pid) for pid in pids)
    assert not any(psutil.pid_exists(pid) for pid in pids)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # PEFT calls what transformers has renamed
def test_watched_steps_are_written_and_bare_ones_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []

    def keep(run: RunPaths) -> None:
        written.extend(int(event["step"]) for event in read_all(run.events) if event["type"] == "step")

    from lab.bench import watching

    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(watching.Switch, "rest", lambda self, rest=watching.Switch.rest: (keep(self.run), rest(self)))
    monkeypatch.setitem(
        monitoring.WORKLOADS, "w16", monitoring.WORKLOADS["w16"].__class__({"examples_per_step": 2}, 1, 1)
    )
    said: list[str] = []
    found = measure("tiny", "lora", "w16", 1, 2, 1, said.append)
    assert (len(found.watched), len(found.bare)) == (1, 1)
    assert [line.split(":")[0] for line in said] == ["bare", "watched", "bare", "watched"]
    assert set(written) == {3, 4, 7, 8}  # a step is told after its segment may have ended

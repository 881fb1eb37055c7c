"""Which GPUs a worker samples: its own, wherever it stands among those of the host."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lab.launching.devices import Device
from lab.runs.paths import RunPaths
from lab.runs.writer import RunWriter
from lab.training import worker


class Heard:
    """Stands in for the sampler and remembers what it was asked for."""

    error = None
    indices: list[Sequence[int] | None] = []

    def __init__(self, path: Path, pid: int, indices: Sequence[int] | None, **_: Any) -> None:
        Heard.indices.append(indices)

    def start(self) -> None: ...

    def stop(self) -> None: ...


@pytest.mark.parametrize(
    ("device", "indices"),
    [
        (Device("cuda", 2, "GPU-c", "H200", "", -1), None),
        (Device("cuda", 0, "GPU-a", "H200", "", -1), None),
        (Device("cpu", None, "", "cpu", "", -1), ()),
    ],
    ids=["third GPU", "first GPU", "cpu"],
)
def test_all_visible_gpus_are_the_runs(
    device: Device, indices: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "Sampler", Heard)
    run = RunPaths(tmp_path)
    writer = RunWriter(run)
    with worker._telemetry(run, writer, device):
        pass
    writer.close()
    assert Heard.indices[-1] == indices

"""The sampling thread: its lines, its pace, its last word, and that it never harms the run."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.telemetry.sampler import LONGEST, Sampler, next_deadline, paced_interval

Install = Callable[..., Any]
Card = Callable[..., dict[str, Any]]

GIB = 1 << 30
FOREVER = 3600.0


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.002)


def test_a_line_holds_gpus_and_host(nvml: Install, card: Card, tmp_path: Path) -> None:
    own = [SimpleNamespace(pid=os.getpid(), usedGpuMemory=GIB), SimpleNamespace(pid=os.getppid(), usedGpuMemory=1)]
    nvml(card(0, ComputeRunningProcesses=own), card(1))
    path = tmp_path / "telemetry.jsonl"
    began = time.time()
    sampler = Sampler(path, os.getpid(), [0], interval=0.01, attempt=3)
    sampler.start()
    wait_for(lambda: len(lines(path)) >= 3)
    sampler.stop()
    found = lines(path)
    assert {(line["schema"], line["attempt"], len(line["gpus"])) for line in found} == {(1, 3, 1)}
    times = [line["t"] for line in found]
    assert times == sorted(times)
    assert began <= times[0] <= times[-1] <= time.time()
    gpu = found[0]["gpus"][0]
    assert (gpu["uuid"], gpu["watts"], gpu["process_bytes"], gpu["strangers"]) == ("GPU-0000-aaaa", 312.5, GIB, 1)
    assert found[0]["process_bytes"] > 0
    assert found[0]["cpu_percent"] is None
    assert 0.0 <= found[1]["cpu_percent"] <= 100.0
    assert 0 < found[0]["memory_used_bytes"] < found[0]["memory_total_bytes"]
    assert sampler.error is None


@pytest.mark.parametrize(("cards", "indices"), [(0, None), (1, [])])
def test_without_a_gpu_of_ours_the_field_is_null(
    nvml: Install, card: Card, tmp_path: Path, cards: int, indices: list[int] | None
) -> None:
    nvml(*(card(number) for number in range(cards)))
    path = tmp_path / "telemetry.jsonl"
    sampler = Sampler(path, os.getpid(), indices)
    sampler.start()
    sampler.stop()
    assert [line["gpus"] for line in lines(path)][-1] is None


def test_the_first_sample_comes_at_once_and_stop_takes_the_last(nvml: Install, card: Card, tmp_path: Path) -> None:
    fake = nvml(card(0))
    path = tmp_path / "telemetry.jsonl"
    sampler = Sampler(path, os.getpid(), interval=FOREVER)
    sampler.start()
    wait_for(lambda: len(lines(path)) == 1)
    fake.cards[0]["TotalEnergyConsumption"] = 6_000_000
    sampler.stop()
    assert [line["gpus"][0]["joules"] for line in lines(path)] == [5000.25, 6000.0]
    assert (fake.opened, fake.closed) == (1, 1)


def test_stopping_twice_or_before_the_start_does_nothing(nvml: Install, tmp_path: Path) -> None:
    nvml()
    path = tmp_path / "telemetry.jsonl"
    sampler = Sampler(path, os.getpid(), interval=FOREVER)
    sampler.stop()
    assert not path.exists()
    sampler.start()
    sampler.stop()
    sampler.stop()
    assert len(lines(path)) == 1


def test_a_killed_predecessor_s_torn_line_is_closed_first(nvml: Install, tmp_path: Path) -> None:
    nvml()
    path = tmp_path / "telemetry.jsonl"
    path.write_text('{"schema": 1, "t": 17')
    sampler = Sampler(path, os.getpid(), interval=FOREVER, attempt=2)
    sampler.start()
    sampler.stop()
    torn, *whole = path.read_text().splitlines()
    assert torn == '{"schema": 1, "t": 17'
    assert {json.loads(line)["attempt"] for line in whole} == {2}


@pytest.mark.parametrize(
    ("path", "reason"), [(Path("/dev/full"), "No space is left"), (Path("/nowhere/telemetry.jsonl"), "No such file")]
)
def test_what_cannot_be_written_ends_sampling_and_nothing_else(
    nvml: Install, card: Card, path: Path, reason: str
) -> None:
    fake = nvml(card(0))
    sampler = Sampler(path, os.getpid(), interval=FOREVER)
    sampler.start()
    wait_for(lambda: sampler.error is not None)
    sampler.stop()
    assert reason in (sampler.error or "")
    assert fake.opened == fake.closed


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ([0.0, 0.0, 0.0], 1.0),
        ([0.05, 0.05, 0.05], 1.0),
        ([0.01, 9.0, 9.0], 1.0),  # an import held the interpreter; the looks themselves are quick
        ([0.1, 0.2, 0.1], 2.0),
        ([7.0, 7.0, 7.0], LONGEST),
    ],
)
def test_slow_looks_become_rarer(looks: list[float], expected: float) -> None:
    assert paced_interval(1.0, looks) == pytest.approx(expected)


def test_an_interval_that_was_asked_for_is_never_shortened() -> None:
    assert paced_interval(30.0, [0.1, 0.1]) == 30.0


@pytest.mark.parametrize(
    ("last", "interval", "now", "expected"),
    [
        (10.0, 1.0, 10.0, 11.0),
        (10.0, 1.0, 10.4, 11.0),  # late by 0.4 s: the beat stays
        (10.0, 1.0, 11.0, 12.0),
        (10.0, 1.0, 15.5, 16.0),  # missed beats are not caught up
        (10.0, 2.0, 10.1, 12.0),
    ],
)
def test_samples_keep_their_beat(last: float, interval: float, now: float, expected: float) -> None:
    assert next_deadline(last, interval, now) == expected

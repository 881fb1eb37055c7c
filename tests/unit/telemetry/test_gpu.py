"""One look at the GPUs: units, fields that are refused, whose processes are whose, and no driver at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Sequence
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from lab.telemetry.gpu import GpuProbe, GpuSample
from lab.telemetry.nvml import GpuProcess, attribute

Install = Callable[..., Any]
Card = Callable[..., dict[str, Any]]

GIB = 1 << 30
REFUSED = pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
MISMATCH = pynvml.NVMLLibraryMismatchError("the driver is older than pynvml")
OWN, PARENT, NOBODY = os.getpid(), os.getppid(), 4_194_305  # beyond Linux's greatest PID


def probe_gpus(indices: Sequence[int] | None = None, pids: Collection[int] = ()) -> list[GpuSample]:
    """Look once."""
    with contextlib.closing(GpuProbe(indices)) as probe:
        return probe.sample(pids)


def test_units_and_fields(nvml: Install, card: Card) -> None:
    nvml(card(0, ComputeRunningProcesses=[SimpleNamespace(pid=OWN, usedGpuMemory=9 * GIB)]))
    assert probe_gpus(pids=[OWN]) == [
        GpuSample(
            uuid="GPU-0000-aaaa",
            name="NVIDIA H100 80GB HBM3",
            watts=312.5,
            limit_watts=700.0,
            used_bytes=11 * GIB,
            total_bytes=80 * GIB,
            utilization=97,
            celsius=61,
            joules=5000.25,
            process_bytes=9 * GIB,
            strangers=0,
        )
    ]


def test_the_line_of_the_telemetry_file(nvml: Install, card: Card) -> None:
    nvml(card(0))
    assert set(probe_gpus()[0].record()) == {
        *("uuid", "watts", "limit_watts", "used_bytes", "total_bytes", "utilization", "celsius", "joules"),
        *("process_bytes", "strangers"),
    }


@pytest.mark.parametrize("refusal", [REFUSED, MISMATCH])
@pytest.mark.parametrize(
    ("function", "fields"),
    [
        ("PowerUsage", {"watts"}),
        ("EnforcedPowerLimit", {"limit_watts"}),
        ("TotalEnergyConsumption", {"joules"}),
        ("MemoryInfo", {"used_bytes", "total_bytes"}),
        ("UtilizationRates", {"utilization"}),
        ("ComputeRunningProcesses", {"process_bytes", "strangers"}),
    ],
)
def test_a_field_that_is_refused_is_none_and_the_others_stay(
    nvml: Install, card: Card, function: str, fields: set[str], refusal: Exception
) -> None:
    own = [SimpleNamespace(pid=OWN, usedGpuMemory=GIB)]
    nvml(card(0, **{"ComputeRunningProcesses": own, function: refusal}))
    record = probe_gpus(pids=[OWN])[0].record()
    assert {name for name, value in record.items() if value is None} == fields


def test_an_old_driver_or_library_tells_its_temperature_by_the_old_call(nvml: Install, card: Card) -> None:
    nvml(card(0, TemperatureV=MISMATCH))
    assert probe_gpus()[0].celsius == 60
    nvml(card(0)).missing.add("nvmlDeviceGetTemperatureV")
    assert probe_gpus()[0].celsius == 60
    nvml(card(0, TemperatureV=REFUSED, Temperature=REFUSED))
    assert probe_gpus()[0].celsius is None


def test_memory_without_the_second_version_of_the_call(
    nvml: Install, card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = nvml(card(0))
    answers = {True: REFUSED, False: SimpleNamespace(used=1, total=2)}
    plain = fake._answer
    monkeypatch.setattr(
        fake, "_answer", lambda name, *a: answers[len(a) > 1] if name.endswith("MemoryInfo") else plain(name, *a)
    )
    assert (probe_gpus()[0].used_bytes, probe_gpus()[0].total_bytes) == (1, 2)


def test_a_mistake_in_our_own_call_is_not_hidden(nvml: Install, card: Card) -> None:
    nvml(card(0, PowerUsage=TypeError("ours")))
    with pytest.raises(TypeError, match="ours"):
        probe_gpus()


@pytest.mark.parametrize(
    ("indices", "visible", "uuids"),
    [
        (None, None, ["GPU-0000-aaaa", "GPU-1000-aaaa", "GPU-2000-aaaa"]),
        ([1], None, ["GPU-1000-aaaa"]),
        ([0], "2,1", ["GPU-2000-aaaa"]),
        ([1, 0], "2,1", ["GPU-1000-aaaa", "GPU-2000-aaaa"]),
        ([5, -1], None, []),
        (None, "", []),
        ([], None, []),
    ],
)
def test_indices_count_among_the_visible_gpus(
    nvml: Install,
    card: Card,
    monkeypatch: pytest.MonkeyPatch,
    indices: list[int] | None,
    visible: str | None,
    uuids: list[str],
) -> None:
    nvml(card(0), card(1), card(2))
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [sample.uuid for sample in probe_gpus(indices)] == uuids


def test_a_probe_opens_nvml_once_and_closes_it_once(nvml: Install, card: Card) -> None:
    fake = nvml(card(0))
    probe = GpuProbe()
    assert len([probe.sample() for _ in range(3)][2]) == 1
    probe.close()
    probe.close()
    assert (fake.opened, fake.closed, probe.sample()) == (1, 1, [])


def test_no_gpu_is_watched_without_opening_anything(nvml: Install, card: Card) -> None:
    fake = nvml(card(0))
    assert GpuProbe([]).sample() == []
    assert fake.opened == 0


def test_no_driver_means_no_gpus(nvml: Install, card: Card) -> None:
    nvml(card(0), init=pynvml.NVMLError(pynvml.NVML_ERROR_DRIVER_NOT_LOADED))
    assert probe_gpus() == []


def test_no_library_means_no_gpus_and_no_word(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def no_library(name: str) -> Any:
        raise OSError(name)

    monkeypatch.setattr(pynvml, "CDLL", no_library)
    monkeypatch.setattr(pynvml, "nvmlLib", None)
    assert probe_gpus() == []
    assert capfd.readouterr() == ("", "")


def test_a_name_cannot_command_the_terminal(nvml: Install, card: Card) -> None:
    nvml(card(0, Name="H\x1b[31m100\n"))
    assert probe_gpus()[0].name.strip() == "H100"


@pytest.mark.parametrize(
    ("found", "pids", "expected"),
    [
        (None, [OWN], (None, None)),
        ([], [OWN], (0, 0)),
        ([(OWN, 5)], [OWN], (5, 0)),
        ([(OWN, 5), (PARENT, 7)], [OWN], (5, 1)),
        ([(OWN, 5), (PARENT, 7)], [OWN, PARENT], (12, 0)),
        ([(OWN, None), (PARENT, 7)], [OWN], (None, 1)),
        ([(PARENT, 7)], [OWN], (0, 1)),
        ([(PARENT, 7)], [], (None, 1)),
        ([(NOBODY, 7)], [OWN], (None, None)),  # the host's numbers, seen from a container: one may be ours
        ([(NOBODY, 7), (PARENT, 7)], [OWN], (None, None)),
        ([(NOBODY, 7), (OWN, 5)], [OWN], (5, 1)),
        ([(2**40, 7)], [OWN], (None, None)),
    ],
)
def test_ours_and_strangers(
    found: list[tuple[int, int | None]] | None, pids: list[int], expected: tuple[int | None, int | None]
) -> None:
    listed = None if found is None else [GpuProcess(*process) for process in found]
    assert attribute(listed, pids) == expected


def test_a_process_that_we_may_not_touch_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert attribute([GpuProcess(1, 7)], [OWN]) == (0, 1)

"""Which GPUs are visible, read as CUDA reads its variable, and what is listed of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from lab.telemetry.devices import Gpu, list_gpus, visible_devices
from lab.telemetry.nvml import GpuProcess

Install = Callable[..., Any]
Card = Callable[..., dict[str, Any]]

GIB = 1 << 30
REFUSED = pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)


@dataclass(frozen=True, repr=False)
class Device:
    index: int
    uuid: str
    parent: str | None = None

    def __repr__(self) -> str:
        return self.uuid


A, B, C = Device(0, "GPU-aaaa-11"), Device(1, "GPU-aabb-22"), Device(2, "GPU-cccc-33")
M1, M2 = Device(1, "MIG-1111", B.uuid), Device(1, "MIG-2222", B.uuid)
CARDS, SPLIT = [A, B, C], [A, B, M1, M2, C]


@pytest.mark.parametrize(
    ("wish", "devices", "expected"),
    [
        (None, CARDS, [A, B, C]),
        (None, [], []),
        ("", CARDS, []),
        ("-1", CARDS, []),
        ("NoDevFiles", CARDS, []),
        ("0", CARDS, [A]),
        ("2,0", CARDS, [C, A]),
        (" 1 , 2 ", CARDS, [B, C]),
        ("0,-1,1", CARDS, [A]),
        ("0,7,1", CARDS, [A]),
        ("7", CARDS, []),
        ("0,,1", CARDS, [A]),
        ("1gpu,2", CARDS, [B, C]),
        ("0,0", CARDS, []),
        ("GPU-cccc-33", CARDS, [C]),
        ("GPU-c,GPU-aaaa", CARDS, [C, A]),
        ("GPU-aa", CARDS, []),  # fits two
        ("GPU-c,GPU-zz,GPU-aaaa", CARDS, [C]),
        ("GPU-c,GPU-cccc", CARDS, []),
        ("0", [], []),
        (None, SPLIT, [A, M1, C]),
        ("1", SPLIT, [M1]),
        ("GPU-aabb-22", SPLIT, [M1]),
        ("MIG-2222", SPLIT, [M2]),
        ("MIG-2222,MIG-1111", SPLIT, [M2, M1]),
        ("MIG-3", SPLIT, []),
    ],
)
def test_visible_devices(wish: str | None, devices: list[Device], expected: list[Device]) -> None:
    environment = {} if wish is None else {"CUDA_VISIBLE_DEVICES": wish}
    assert visible_devices(environment, devices) == expected


def test_list_gpus_describes_every_gpu_whatever_is_visible(
    nvml: Install, card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    running = [SimpleNamespace(pid=7, usedGpuMemory=GIB), SimpleNamespace(pid=8, usedGpuMemory=None)]
    fake = nvml(card(0, ComputeRunningProcesses=running), card(1))
    found = list_gpus()
    assert found[0] == Gpu(
        index=0,
        uuid="GPU-0000-aaaa",
        parent=None,
        name="NVIDIA H100 80GB HBM3",
        used_bytes=11 * GIB,
        total_bytes=80 * GIB,
        compute_capability=(9, 0),
        driver="580.159.04",
        processes=(GpuProcess(7, GIB), GpuProcess(8, None)),
    )
    assert [gpu.index for gpu in found] == [0, 1]
    assert (fake.opened, fake.closed) == (1, 1)


def test_instances_of_a_split_card_follow_it(nvml: Install, card: Card) -> None:
    instance = card(9, UUID="MIG-1111", Name="NVIDIA H100 MIG 1g.10gb", PowerUsage=REFUSED)
    nvml(card(0, MigMode=[1, 1], instances=[instance]), card(1, MigMode=[0, 1], instances=[instance]))
    listed = [(gpu.index, gpu.uuid, gpu.parent) for gpu in list_gpus()]
    assert listed == [(0, "GPU-0000-aaaa", None), (0, "MIG-1111", "GPU-0000-aaaa"), (1, "GPU-1000-aaaa", None)]


def test_what_a_gpu_refuses_to_tell_is_none(nvml: Install, card: Card) -> None:
    nvml(card(0, CudaComputeCapability=REFUSED, MemoryInfo=REFUSED, ComputeRunningProcesses=REFUSED))
    gpu = list_gpus()[0]
    assert (gpu.compute_capability, gpu.used_bytes, gpu.total_bytes, gpu.processes) == (None, None, None, None)


def test_without_a_driver_there_are_none(nvml: Install, card: Card) -> None:
    nvml(card(0), init=pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND))
    assert list_gpus() == []

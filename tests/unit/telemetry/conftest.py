"""A stand-in for NVML that knows only what the real pynvml knows: names and arguments are held against it."""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

REFUSED = pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
GIB = 1 << 30


def answers_of(number: int, **answers: Any) -> dict[str, Any]:
    return {
        "UUID": f"GPU-{number}000-aaaa",
        "Name": "NVIDIA H100 80GB HBM3",
        "PowerUsage": 312_500,
        "EnforcedPowerLimit": 700_000,
        "TotalEnergyConsumption": 5_000_250,
        "MemoryInfo": SimpleNamespace(used=11 * GIB, total=80 * GIB, free=68 * GIB),
        "UtilizationRates": SimpleNamespace(gpu=97, memory=40),
        "TemperatureV": 61,
        "Temperature": 60,
        "ComputeRunningProcesses": [],
        "CudaComputeCapability": (9, 0),
        "MigMode": REFUSED,
        **answers,
    }


class FakeNvml(types.ModuleType):
    """Takes the place of `pynvml`. A handle is the dict of a card's answers; `opened` counts calls of nvmlInit."""

    def __init__(self, cards: list[dict[str, Any]], *, init: Exception | None = None) -> None:
        super().__init__("pynvml")
        self.cards = cards
        self.init = init
        self.opened = 0
        self.closed = 0
        self.missing: set[str] = set()
        self.NVMLError = pynvml.NVMLError
        self.NVMLLibraryMismatchError = pynvml.NVMLLibraryMismatchError
        self.NVML_TEMPERATURE_GPU = pynvml.NVML_TEMPERATURE_GPU
        self.nvmlMemory_v2 = pynvml.nvmlMemory_v2

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if not name.startswith("nvml") or name in self.missing:
            raise AttributeError(name)
        signature = inspect.signature(getattr(pynvml, name))

        def call(*arguments: Any) -> Any:
            signature.bind(*arguments)
            answer = self._answer(name, *arguments)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call

    def _answer(self, name: str, *arguments: Any) -> Any:
        match name:
            case "nvmlInit":
                self.opened += 1
                return self.init
            case "nvmlShutdown":
                self.closed += 1
                return None
            case "nvmlSystemGetDriverVersion":
                return "580.159.04"
            case "nvmlDeviceGetCount":
                return len(self.cards)
            case "nvmlDeviceGetHandleByIndex":
                return self.cards[arguments[0]]
            case "nvmlDeviceGetMaxMigDeviceCount":
                return len(arguments[0]["instances"]) + 1
            case "nvmlDeviceGetMigDeviceHandleByIndex":
                instances = arguments[0]["instances"]
                return instances[arguments[1]] if arguments[1] < len(instances) else REFUSED
        return arguments[0][name.removeprefix("nvmlDeviceGet")]


@pytest.fixture
def card() -> Callable[..., dict[str, Any]]:
    """Return a function that makes an H100: answers by function without `nvmlDeviceGet`; errors are raised."""
    return answers_of


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeNvml]:
    """Return a function that puts a fake in pynvml's place; all GPUs are visible unless the test says otherwise."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def install(*cards: dict[str, Any], init: Exception | None = None) -> FakeNvml:
        fake = FakeNvml(list(cards), init=init)
        monkeypatch.setitem(sys.modules, "pynvml", fake)
        return fake

    return install

"""The clock of the throughput benchmark: seconds, joules, the GPU's busy share, over the steps after warming up."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch
from transformers import TrainerCallback

from lab.telemetry.nvml import Nvml, open_nvml

LAUNCHES = 2000
UTILISATION_EVERY = 0.15
"""Seconds between two looks at NVML's utilisation, which itself is a mean over a sixth of a second or more."""


@dataclass(frozen=True)
class Window:
    """What was measured over the timed steps; None where nothing measures it.

    Attributes:
        busy: mean of NVML's utilisation: the share of time in which some kernel ran, 0 to 1.
        allocated, reserved: most bytes that torch held while training, weights included.
    """

    seconds: float
    joules: float | None
    busy: float | None
    allocated: int | None
    reserved: int | None


class Clock(TrainerCallback):
    """Starts after `warm` steps and stops at the end of training."""

    def __init__(self, warm: int, device: str) -> None:
        self.warm = warm
        self.cuda = device == "cuda"
        self._nvml = open_nvml() if self.cuda else None
        self._handle = self._nvml.ask("nvmlDeviceGetHandleByIndex", 0) if self._nvml else None
        self._start: tuple[float, float | None] | None = None
        self._end: tuple[float, float | None] | None = None
        self._busy: list[float] = []
        self._looked = 0.0

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        if self.cuda:
            torch.cuda.reset_peak_memory_stats()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == self.warm:
            self._start = self._now()
        elif self._start is not None:
            self._look()

    def on_train_end(self, *_: Any, **__: Any) -> None:
        self._end = self._now()

    def window(self) -> Window:
        """Return what was measured. Raises RuntimeError where training ended before the clock started."""
        if self._start is None or self._end is None:
            raise RuntimeError("No step was timed: training ended while warming up.")
        (start, joules_before), (end, joules_after) = self._start, self._end
        spent = None if joules_before is None or joules_after is None else joules_after - joules_before
        return Window(
            end - start,
            spent,
            sum(self._busy) / len(self._busy) if self._busy else None,
            torch.cuda.max_memory_allocated() if self.cuda else None,
            torch.cuda.max_memory_reserved() if self.cuda else None,
        )

    def _now(self) -> tuple[float, float | None]:
        if self.cuda:
            torch.cuda.synchronize()
        used = self._ask("nvmlDeviceGetTotalEnergyConsumption")
        return time.perf_counter(), None if used is None else used / 1000

    def _look(self) -> None:
        now = time.perf_counter()
        if now - self._looked < UTILISATION_EVERY:
            return
        self._looked = now
        rates = self._ask("nvmlDeviceGetUtilizationRates")
        if rates is not None:
            self._busy.append(rates.gpu / 100)

    def _ask(self, function: str) -> Any:
        nvml: Nvml | None = self._nvml
        return None if nvml is None or self._handle is None else nvml.ask(function, self._handle)


def launch_seconds(device: str) -> float | None:
    """Return the seconds that launching one small kernel takes on this host; None without a GPU."""
    if device != "cuda":
        return None
    cell = torch.zeros(1, device=device)
    torch.cuda.synchronize()
    for _ in range(100):
        cell.zero_()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(LAUNCHES):
        cell.zero_()
    torch.cuda.synchronize()
    return (time.perf_counter() - start) / LAUNCHES

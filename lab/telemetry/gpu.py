"""One look at the GPUs that a run uses: power, memory, load, heat, energy so far. The sampler looks once a second."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lab.telemetry import nvml as asked
from lab.telemetry.devices import Handle, device_handles, visible_devices
from lab.telemetry.nvml import open_nvml


@dataclass(frozen=True)
class GpuSample:
    """What one GPU tells at one moment; a field is None where it, its driver or a MIG split does not tell it.

    Attributes:
        watts, limit_watts: drawn by the board, and where it is capped.
        used_bytes, total_bytes: of its memory, all processes together.
        utilization: percent of the last moments in which a kernel ran.
        joules: counted since the driver was loaded.
        process_bytes: memory held by the processes that were asked for.
        strangers: other processes with a compute context.
    """

    uuid: str
    name: str
    watts: float | None = None
    limit_watts: float | None = None
    used_bytes: int | None = None
    total_bytes: int | None = None
    utilization: int | None = None
    celsius: int | None = None
    joules: float | None = None
    process_bytes: int | None = None
    strangers: int | None = None

    def record(self) -> dict[str, Any]:
        """Return the GPU's part of a telemetry line; the name stands in the run's environment."""
        fields = asdict(self)
        del fields["name"]
        return fields


class GpuProbe:
    """Holds NVML and the handles of the watched GPUs open, so that a look costs only the look.

    Args:
        indices: among the GPUs visible to this process, as torch counts them (`cuda:0` is 0); None for all of them.
            One that NVML does not list is left out.
        visible: a value of CUDA_VISIBLE_DEVICES to go by; None for this process's own.
    """

    def __init__(self, indices: Sequence[int] | None = None, visible: str | None = None) -> None:
        self._nvml = open_nvml() if indices is None or len(indices) else None
        self._watched: list[tuple[Handle, str]] = []
        if self._nvml is not None:
            environment = os.environ if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
            found = visible_devices(environment, list(device_handles(self._nvml)))
            kept = found if indices is None else [found[index] for index in indices if 0 <= index < len(found)]
            self._watched = [(handle, asked.name(self._nvml, handle.nvml)) for handle in kept]

    def sample(self, pids: Collection[int] = ()) -> list[GpuSample]:
        """Look once at each watched GPU; `pids` are the processes that count as our own."""
        return [self._look(handle, name, pids) for handle, name in self._watched]

    def _look(self, handle: Handle, name: str, pids: Collection[int]) -> GpuSample:
        nvml, device = self._nvml, handle.nvml
        assert nvml is not None  # nothing is watched without it
        load = nvml.ask("nvmlDeviceGetUtilizationRates", device)
        used, total = asked.memory(nvml, device)
        process_bytes, strangers = asked.attribute(asked.processes(nvml, device), pids)
        return GpuSample(
            uuid=handle.uuid,
            name=name,
            watts=_thousandth(nvml.ask("nvmlDeviceGetPowerUsage", device)),
            limit_watts=_thousandth(nvml.ask("nvmlDeviceGetEnforcedPowerLimit", device)),
            used_bytes=used,
            total_bytes=total,
            utilization=None if load is None else int(load.gpu),
            celsius=asked.celsius(nvml, device),
            joules=_thousandth(nvml.ask("nvmlDeviceGetTotalEnergyConsumption", device)),
            process_bytes=process_bytes,
            strangers=strangers,
        )

    def close(self) -> None:
        self._watched = []
        if self._nvml is not None:
            self._nvml.close()
            self._nvml = None


def _thousandth(value: int | None) -> float | None:
    """NVML counts in mW and mJ."""
    return None if value is None else value / 1000

"""Which GPUs there are and which of them this process may use: `lab doctor`, the device queue, the worker's record."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from lab.telemetry import nvml as asked
from lab.telemetry.nvml import GpuProcess, Nvml, open_nvml


class Identified(Protocol):
    """What `visible_devices` needs to know of a GPU."""

    @property
    def index(self) -> int: ...
    @property
    def uuid(self) -> str: ...
    @property
    def parent(self) -> str | None: ...


Device = TypeVar("Device", bound=Identified)


@dataclass(frozen=True)
class Handle:
    """A GPU, or a MIG instance of one, with NVML's handle of it.

    Attributes:
        index: of the card, in NVML's (PCI) order.
        parent: the card's UUID for a MIG instance, else None.
    """

    index: int
    uuid: str
    parent: str | None
    nvml: Any


@dataclass(frozen=True)
class Gpu:
    """A GPU, or a MIG instance of one, as it is now; a field is None where NVML does not tell it.

    Attributes:
        index, parent: as in `Handle`.
        compute_capability: (major, minor), for example (9, 0).
        driver: version of the driver.
        processes: those with a compute context, ours too.
    """

    index: int
    uuid: str
    parent: str | None
    name: str
    used_bytes: int | None
    total_bytes: int | None
    compute_capability: tuple[int, int] | None
    driver: str | None
    processes: tuple[GpuProcess, ...] | None


def device_handles(nvml: Nvml) -> Iterator[Handle]:
    """Yield all GPUs in PCI order, each followed by its MIG instances."""
    for index, card in asked.handles(nvml):
        uuid = asked.uuid(nvml, card)
        yield Handle(index, uuid, None, card)
        for instance in asked.instances(nvml, card):
            yield Handle(index, asked.uuid(nvml, instance), uuid, instance)


def list_gpus() -> list[Gpu]:
    """Return all GPUs of the machine in PCI order, each followed by its MIG instances; empty without a driver.

    `visible_devices(os.environ, list_gpus())` are those that this process may use.
    """
    nvml = open_nvml()
    if nvml is None:
        return []
    try:
        driver = nvml.ask("nvmlSystemGetDriverVersion")
        return [_describe(nvml, handle, driver) for handle in device_handles(nvml)]
    finally:
        nvml.close()


def _describe(nvml: Nvml, handle: Handle, driver: str | None) -> Gpu:
    used, total = asked.memory(nvml, handle.nvml)
    capability = nvml.ask("nvmlDeviceGetCudaComputeCapability", handle.nvml)
    return Gpu(
        index=handle.index,
        uuid=handle.uuid,
        parent=handle.parent,
        name=asked.name(nvml, handle.nvml),
        used_bytes=used,
        total_bytes=total,
        compute_capability=None if capability is None else (int(capability[0]), int(capability[1])),
        driver=driver,
        processes=asked.processes(nvml, handle.nvml),
    )


def visible_devices(environment: Mapping[str, str], all_devices: Sequence[Device]) -> list[Device]:
    """Return the GPUs that CUDA would show, in its order, by `CUDA_VISIBLE_DEVICES` as CUDA reads it.

    Unset shows all. Entries are indices or (beginnings of) UUIDs; the first that fits nothing ends the list, and one
    given twice empties it. A card that is split by MIG stands for its first instance. Indices count in PCI order, which
    is CUDA's own where all cards are alike or `CUDA_DEVICE_ORDER=PCI_BUS_ID`.
    """
    cards = [device for device in all_devices if device.parent is None]
    wish = environment.get("CUDA_VISIBLE_DEVICES")
    if wish is None:
        return [_usable(card, all_devices) for card in cards]
    chosen: list[Device] = []
    for entry in wish.split(","):
        device = _named(entry.strip(), cards, all_devices)
        if device is None:
            break
        if device in chosen:
            return []
        chosen.append(device)
    return chosen


def _named(entry: str, cards: Sequence[Device], all_devices: Sequence[Device]) -> Device | None:
    if entry.startswith(("GPU-", "MIG-")):
        fitting = [device for device in all_devices if device.uuid.startswith(entry)]
        return _usable(fitting[0], all_devices) if len(fitting) == 1 else None
    number = re.match(r"\+?\d+", entry)  # CUDA reads the digits that an entry begins with
    if number is None:
        return None
    card = next((card for card in cards if card.index == int(number.group())), None)
    return None if card is None else _usable(card, all_devices)


def _usable(device: Device, all_devices: Sequence[Device]) -> Device:
    return next((other for other in all_devices if other.parent == device.uuid), device)

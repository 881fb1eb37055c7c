"""The queue for devices: each run works on GPUs, mostly one, or the CPU, that no other run on this host uses.

Called by the worker before it loads anything heavy. There is no daemon: waiting runs stand in a row of tickets, and
the oldest living one takes the lock of the device that comes free, or of as many as it needs once they all are; those
behind it take none of what it may wait for. Processes that are no runs take no locks; nobody
waits for them, but a GPU without them comes first, and a shared one is said to be shared.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from lab.errors import RunStateError
from lab.launching.hostlocks import (
    Place,
    Ticket,
    holder,
    inherited_place,
    living_tickets,
    lock_folder,
    stand_in_line,
    take,
    ticket,
)
from lab.telemetry.devices import Gpu, visible_devices
from lab.telemetry.devices import list_gpus as installed_gpus
from lab.text import byte_size, listed, plural, sanitize

STRANGER_BYTES = 512_000_000
POLL_SECONDS = 0.5
PLACE = "LAB_PLACE"
"""Variable in which a worker finds the place in the queue that was taken for it: a handle and the ticket's name."""


@dataclass(frozen=True)
class Device:
    """A device that belongs to this process until `release` or its end.

    Attributes:
        index, uuid: of a GPU; None and "" for the CPU.
        name: the GPU's name, or "cpu".
        shared: a line about others on the same GPU; "" where none were seen.
        more: the further GPUs of a run that trains on several.
    """

    kind: Literal["cpu", "cuda"]
    index: int | None
    uuid: str
    name: str
    shared: str
    lock_fd: int
    more: tuple[Device, ...] = ()

    @property
    def visible(self) -> str:
        """The value of CUDA_VISIBLE_DEVICES that shows this device alone; to be set before torch is imported."""
        return "" if self.kind == "cpu" else self.uuid or str(self.index)

    @property
    def all_visible(self) -> str:
        """The value of CUDA_VISIBLE_DEVICES that shows this device and the further ones."""
        return ",".join([self.visible, *(device.visible for device in self.more)])

    def release_more(self) -> None:
        """Let others have the further GPUs."""
        for device in self.more:
            device.release()

    def release(self) -> None:
        self.release_more()
        if self.lock_fd in _held:
            _held.discard(self.lock_fd)
            os.close(self.lock_fd)


@dataclass(frozen=True)
class _Choice:
    """A device that would do; `gpu` is None for the CPU."""

    lock: str
    gpu: Gpu | None


def usable_gpus() -> list[Gpu]:
    """Return the GPUs that this process may use, in CUDA's order."""
    return visible_devices(os.environ, installed_gpus())


def wait_for_device(
    run: str,
    gpus: int,
    *,
    waiting: Callable[[str], None],
    should_stop: Callable[[], bool],
    list_gpus: Callable[[], Sequence[Gpu]] = usable_gpus,
    poll: float = POLL_SECONDS,
) -> Device | None:
    """Wait for a device and return it; None if `should_stop` said so first.

    Args:
        run: the id under which others will find themselves waiting behind it.
        gpus: 0 asks for the CPU; otherwise so many of the visible GPUs, and the CPU where there are none.
        waiting: is told what is waited for, whenever that changes; never called if a device is free at once.

    Raises:
        RunStateError: the folder of the device locks cannot be used, or there are fewer GPUs.
    """
    folder = lock_folder()
    choices = _choices(gpus, list_gpus)
    count = _count(gpus, choices)
    with ticket(folder, run, tuple(choice.lock for choice in choices), _place_taken(folder)) as mine:
        said = ""
        while not should_stop():
            older = [other for other in living_tickets(folder) if other < mine]
            wanted = {name for other in older for name in other.locks}
            free = [c for c in choices if c.lock not in wanted and holder(folder, c.lock) is None]
            found = _take(folder, _fewest_strangers_first(_look_again(free, list_gpus) if said else free), count, run)
            if found is not None:
                return found
            line = _waiting_line(folder, choices, older, count)
            if line and line != said:
                waiting(line)
                said = line
            time.sleep(poll)
    return None


def take_place(run: str, gpus: int, list_gpus: Callable[[], Sequence[Gpu]] = usable_gpus) -> Place:
    """Take a place in the queue for a worker that is started next: several runs then begin in the order of starts.

    The caller hands the place to the worker and closes its own handle. Raises RunStateError as `wait_for_device`.
    """
    return stand_in_line(lock_folder(), run, tuple(choice.lock for choice in _choices(gpus, list_gpus)))


def _place_taken(folder: Path) -> Place | None:
    handle, _, name = os.environ.pop(PLACE, "").partition(":")
    return inherited_place(folder / name, int(handle)) if handle.isdecimal() else None


def _choices(gpus: int, list_gpus: Callable[[], Sequence[Gpu]]) -> list[_Choice]:
    cards = list_gpus() if gpus > 0 else ()
    return [_Choice(_lock_name(gpu), gpu) for gpu in cards] or [_Choice("cpu.lock", None)]


def _count(gpus: int, choices: Sequence[_Choice]) -> int:
    """Return how many of `choices` are needed; however many processes train on the CPU, there is one of it."""
    if choices[0].gpu is None:
        return 1
    refuse_too_few(gpus, len(choices))
    return gpus


def refuse_too_few(asked: int, seen: int) -> None:
    """Raise RunStateError where a run asks for more GPUs than there are."""
    if asked > seen:
        raise RunStateError(
            f"launch.gpus = {asked}, and this process sees {plural(seen, 'GPU')}.",
            f"Set launch.gpus to {seen} or less, or look at CUDA_VISIBLE_DEVICES.",
        )


def _take(folder: Path, choices: Sequence[_Choice], count: int, run: str) -> Device | None:
    """Take `count` of `choices`, the first where they can be had; None, and none of them, where there are fewer."""
    taken: list[tuple[_Choice, int]] = []
    for choice in choices[: len(choices) if len(choices) >= count else 0]:
        if len(taken) < count and (handle := take(folder, choice.lock, run)) is not None:
            taken.append((choice, handle))
    if len(taken) < count:
        for _, handle in taken:
            os.close(handle)
        return None
    first, *more = (_device(choice, handle) for choice, handle in taken)
    return replace(first, more=tuple(more))


def strangers_line(gpu: Gpu) -> str:
    """Return a line about the processes that use much of `gpu`'s memory; empty where there are none.

    To be asked while its lock is ours or free: then none of them is a run.
    """
    heavy = [p for p in gpu.processes or () if p.pid != os.getpid() and (p.used_bytes or 0) > STRANGER_BYTES]
    if heavy:
        shown = [f"pid {p.pid} ({_process_name(p.pid)}{byte_size(p.used_bytes)})" for p in heavy]
        return f"GPU {gpu.index} is also used by {listed(shown)}"
    if (gpu.used_bytes or 0) > STRANGER_BYTES:  # in a container others may be out of sight; what they take is not
        return f"GPU {gpu.index} is also used by others ({byte_size(gpu.used_bytes)})"
    return ""


def _look_again(choices: list[_Choice], list_gpus: Callable[[], Sequence[Gpu]]) -> list[_Choice]:
    """Bring the GPUs in `choices` up to date: others may have come or gone in the time of waiting."""
    if all(choice.gpu is None for choice in choices):
        return choices
    now = {_lock_name(gpu): gpu for gpu in list_gpus()}
    return [_Choice(choice.lock, now.get(choice.lock, choice.gpu)) for choice in choices]


def _fewest_strangers_first(choices: list[_Choice]) -> list[_Choice]:
    def taken(choice: _Choice) -> int:
        return choice.gpu.used_bytes or 1 if choice.gpu and strangers_line(choice.gpu) else 0

    return sorted(choices, key=taken)  # stable: CUDA's order among equals


def _device(choice: _Choice, handle: int) -> Device:
    _held.add(handle)
    if choice.gpu is None:
        return Device("cpu", None, "", "cpu", "", handle)
    gpu = choice.gpu
    return Device("cuda", gpu.index, gpu.uuid, gpu.name, strangers_line(gpu), handle)


def _lock_name(gpu: Gpu) -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", gpu.uuid or f"gpu-{gpu.index}") + ".lock"


def _waiting_line(folder: Path, choices: list[_Choice], older: list[Ticket], count: int) -> str:
    """Say what is waited for and behind whom: first those who hold a device, then those who stand before us.

    Empty where nobody is in the way any more: a device came free since it was looked at, and the next look takes it.
    """
    ours = {choice.lock for choice in choices}
    holding = [name for choice in choices if (name := holder(folder, choice.lock)) is not None]
    before = [other.run for other in older if ours.intersection(other.locks)]
    blocking = list(dict.fromkeys([*holding, *before]))
    return f"waiting for {_target(choices, count)} behind {listed(blocking)}" if blocking else ""


def _target(choices: list[_Choice], count: int) -> str:
    indices = [str(choice.gpu.index) for choice in choices if choice.gpu is not None]
    if not indices:
        return "the CPU"
    if len(indices) == 1:
        return f"GPU {indices[0]}"
    return f"{'one' if count == 1 else count} of GPU {', '.join(indices)}"


def _process_name(pid: int) -> str:
    """Return the process's name and a comma, or nothing where it is out of sight."""
    try:
        name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return sanitize(name.strip(), newlines=False, limit=40) + ", "


# A lock belongs to the open file, which a plain fork shares: without this a data loader's process that outlives its
# worker would keep the device.
_held: set[int] = set()


def _let_go_in_child() -> None:
    for handle in _held:
        os.close(handle)
    _held.clear()


os.register_at_fork(after_in_child=_let_go_in_child)

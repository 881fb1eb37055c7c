"""Which device a run takes, and what it says while it waits. Locks within one process exclude each other as well."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lab.errors import RunStateError
from lab.launching import devices, hostlocks
from lab.launching.devices import Device, strangers_line, usable_gpus, wait_for_device
from lab.telemetry.devices import Gpu
from lab.telemetry.nvml import GpuProcess

GB = 10**9


def gpu(index: int, uuid: str | None = None, used: int | None = 0, *heavy: int, pid: int = 10**7) -> Gpu:
    processes = tuple(GpuProcess(pid + n, size) for n, size in enumerate(heavy))
    return Gpu(index, f"GPU-{index}" if uuid is None else uuid, None, "Fake H100", used, 80 * GB, None, None, processes)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAB_DEVICE_LOCKS", str(tmp_path / "devices"))
    return tmp_path / "devices"


def claim(gpus: Sequence[Gpu] = (), wanted: int = 1, run: str = "me") -> Device:
    """Take a device that must be free at once."""
    found = wait_for_device(run, wanted, waiting=pytest.fail, should_stop=lambda: False, list_gpus=lambda: gpus)
    assert found is not None
    return found


def give_up_after(lines: list[str], count: int) -> Callable[[], bool]:
    return lambda: len(lines) >= count


def test_first_free_gpu_in_order() -> None:
    cards = [gpu(0), gpu(1)]
    first, second = claim(cards), claim(cards)
    assert (first.kind, first.index, first.uuid, first.name, first.shared) == ("cuda", 0, "GPU-0", "Fake H100", "")
    assert (second.index, second.visible) == (1, "GPU-1")
    first.release()
    again = claim(cards)
    assert again.index == 0
    again.release()
    second.release()


def test_several_gpus_are_taken_together_or_not_at_all() -> None:
    cards = [gpu(0), gpu(1), gpu(2)]
    other, lines = claim(cards), list[str]()
    both = claim(cards, 2)
    assert [both.index, *(device.index for device in both.more)] == [1, 2]
    assert both.all_visible == "GPU-1,GPU-2"
    both.release_more()
    asked = wait_for_device(
        "next", 2, waiting=lines.append, should_stop=give_up_after(lines, 1), list_gpus=lambda: cards, poll=0
    )
    assert asked is None
    assert lines == ["waiting for 2 of GPU 0, 1, 2 behind me"]
    single = claim(cards)
    assert single.index == 2, "who waits for two has not taken one"
    for device in (other, both, single):
        device.release()


def test_more_gpus_than_there_are_is_refused() -> None:
    with pytest.raises(RunStateError, match=r"launch\.gpus = 3, and this process sees 2 GPUs"):
        claim([gpu(0), gpu(1)], 3)
    cpu = claim([], 3)
    assert (cpu.kind, cpu.more) == ("cpu", ())
    cpu.release()


@pytest.mark.parametrize(("wanted", "cards"), [(0, [gpu(0)]), (1, [])], ids=["none wanted", "none there"])
def test_cpu_where_no_gpu_is_wanted_or_there(wanted: int, cards: list[Gpu]) -> None:
    device = claim(cards, wanted)
    assert (device.kind, device.index, device.name, device.visible) == ("cpu", None, "cpu", "")
    lines: list[str] = []
    behind = wait_for_device(
        "next", wanted, waiting=lines.append, should_stop=give_up_after(lines, 1), list_gpus=lambda: cards, poll=0
    )
    assert behind is None
    assert lines == ["waiting for the CPU behind me"]
    device.release()


def test_gpus_are_not_looked_at_when_none_is_wanted() -> None:
    wait_for_device("r", 0, waiting=pytest.fail, should_stop=lambda: True, list_gpus=lambda: pytest.fail("looked"))


def test_release_twice_closes_one_file_once() -> None:
    device = claim()
    device.release()
    with Path(os.devnull).open() as other:  # most likely gets the number that was freed
        device.release()
        assert other.read() == ""


def test_gpu_with_strangers_comes_last_and_is_said_to_be_shared() -> None:
    busy, busier, free = gpu(0, None, 3 * GB, 2 * GB), gpu(1, None, 20 * GB, 20 * GB), gpu(2)
    taken = [claim([busier, busy, free]) for _ in range(3)]
    assert [d.index for d in taken] == [2, 0, 1]
    assert [d.shared for d in taken] == [
        "",
        "GPU 0 is also used by pid 10000000 (2.00 GB)",
        "GPU 1 is also used by pid 10000000 (20.00 GB)",
    ]
    for device in taken:
        device.release()


def test_strangers_are_looked_at_again_after_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    holders = [claim([gpu(0)]), claim([gpu(1)])]
    looks = [[gpu(0), gpu(1)], [gpu(0, None, 9 * GB, 9 * GB), gpu(1)]]

    def both_come_free(line: str) -> None:
        for device in holders:
            device.release()

    found = wait_for_device(
        "next", 1, waiting=both_come_free, should_stop=lambda: False, list_gpus=lambda: looks.pop(0), poll=0
    )
    assert found is not None
    assert found.index == 1
    found.release()


@pytest.mark.parametrize(
    ("card", "line"),
    [
        (gpu(0), ""),
        (gpu(0, None, None), ""),
        (gpu(0, None, 400_000_000, 400_000_000), ""),
        (gpu(0, None, 4 * GB), "GPU 0 is also used by others (4.00 GB)"),
        (replace(gpu(3, None, 4 * GB), processes=None), "GPU 3 is also used by others (4.00 GB)"),
        (gpu(0, None, 0, 4 * GB, pid=os.getpid()), ""),
        (
            gpu(1, None, 9 * GB, GB, GB, 2 * GB, GB, GB),
            "GPU 1 is also used by pid 10000000 (1.00 GB), pid 10000001 (1.00 GB), pid 10000002 (2.00 GB) and 2 more",
        ),
    ],
)
def test_strangers_line(card: Gpu, line: str) -> None:
    assert strangers_line(card) == line


def test_strangers_line_names_a_process_in_sight() -> None:
    name = Path("/proc/1/comm").read_text().strip()
    assert strangers_line(gpu(0, None, 20 * GB, 20 * GB, pid=1)) == f"GPU 0 is also used by pid 1 ({name}, 20.00 GB)"


def test_waiting_says_each_line_once(folder: Path) -> None:
    device = claim([gpu(0)], run="holder")
    rounds: list[None] = []
    lines: list[str] = []

    def stop_in_the_fifth_round() -> bool:
        rounds.append(None)
        return len(rounds) > 5

    found = wait_for_device(
        "me", 1, waiting=lines.append, should_stop=stop_in_the_fifth_round, list_gpus=lambda: [gpu(0)], poll=0
    )
    assert found is None
    assert lines == ["waiting for GPU 0 behind holder"]
    assert [path.name for path in folder.iterdir()] == ["GPU-0.lock"]  # the ticket is gone
    device.release()


def test_device_that_comes_free_between_two_looks_is_taken_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    device = claim(run="holder")
    seen: list[str | None] = []

    def free_after_the_first_look(folder: Path, name: str) -> str | None:
        seen.append(hostlocks.holder(folder, name))
        device.release()
        return seen[-1]

    monkeypatch.setattr(devices, "holder", free_after_the_first_look)
    found = wait_for_device("me", 0, waiting=pytest.fail, should_stop=lambda: False, poll=0)
    assert found is not None
    assert seen == ["holder", None, None]
    found.release()


def test_older_ticket_comes_first_although_the_gpu_is_free() -> None:
    with hostlocks.ticket(hostlocks.lock_folder(), "older", ("GPU-0.lock",)):
        lines: list[str] = []
        wait_for_device(
            "me", 1, waiting=lines.append, should_stop=give_up_after(lines, 1), list_gpus=lambda: [gpu(0)], poll=0
        )
        assert lines == ["waiting for GPU 0 behind older"]
        assert claim([gpu(1)]).index == 1


def test_name_of_the_holder_is_cleaned() -> None:
    device = claim([gpu(0)], run="evil\x1b]0;title\x07\nrun")
    lines: list[str] = []
    wait_for_device(
        "me", 1, waiting=lines.append, should_stop=give_up_after(lines, 1), list_gpus=lambda: [gpu(0)], poll=0
    )
    assert lines == ["waiting for GPU 0 behind evil run"]
    device.release()


def test_gpu_without_uuid_has_a_lock_all_the_same() -> None:
    device = claim([gpu(4, "")])
    assert device.visible == "4"
    assert hostlocks.holder(hostlocks.lock_folder(), "gpu-4.lock") == "me"
    device.release()


@pytest.mark.parametrize(("visible", "expected"), [("1", [1]), ("1,0", [1, 0]), ("", []), (None, [0, 1])])
def test_usable_gpus_follow_cuda_visible_devices(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, expected: list[int]
) -> None:
    monkeypatch.setattr(devices, "installed_gpus", lambda: [gpu(0), gpu(1)])
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [card.index for card in usable_gpus()] == expected


def test_unusable_lock_folder_is_refused_in_two_sentences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LAB_DEVICE_LOCKS", str(tmp_path / "file"))
    with pytest.raises(RunStateError, match=r"cannot be used .not a folder.* Set LAB_DEVICE_LOCKS"):
        claim()

"""The light checks: folders that cannot be used, GPUs that hide, a pip that is not there."""

from __future__ import annotations

import errno
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from lab.telemetry import doctor
from lab.telemetry.check import Check
from lab.telemetry.doctor import LIGHT, folder_check, gpu, hub_cache, nvidia_cards, pip, python

Install = Callable[..., Any]
Card = Callable[..., dict[str, Any]]


def test_every_light_check_answers_under_its_name_here() -> None:
    for name, check in LIGHT.items():
        found = check()
        assert found.name == name
        assert found.found
        assert (found.status == "ok") == (not found.remedy)


def test_python_before_3_11_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 4, "final", 0))
    check = python()
    assert (check.status, check.found.split()[0]) == ("fail", "3.10.4")


def test_a_missing_pip_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pip().status == "ok"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert pip().status == "fail"


def test_a_folder_that_is_not_there_yet_is_judged_where_it_would_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "disk_free", lambda path: 10**12)
    check = folder_check("runs", tmp_path / "a" / "b", "LAB_HOME")
    assert check.status == "ok"
    assert check.found.endswith("made on first use")
    assert not (tmp_path / "a").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_below_a_file_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    check = folder_check("runs", tmp_path / "file", "LAB_HOME")
    assert check.status == "fail"
    assert "LAB_HOME" in check.remedy


def test_a_folder_that_refuses_locks_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(doctor.fcntl, "flock", refuse)
    check = folder_check("runs", tmp_path, "LAB_HOME")
    assert check.status == "fail"
    assert "No locks available" in check.found


@pytest.mark.parametrize(
    ("free", "status"), [(199_999_999, "fail"), (200_000_000, "warn"), (5_000_000_000, "ok"), (None, "ok")]
)
def test_free_space_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int | None, status: str) -> None:
    monkeypatch.setattr(doctor, "disk_free", lambda path: free)
    assert folder_check("runs", tmp_path, "LAB_HOME").status == status


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"HF_HUB_CACHE": "/a"}, "/a"),
        ({"HF_HOME": "/b"}, "/b/hub"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/huggingface/hub"),
        ({"HF_HUB_CACHE": "/a", "HF_HOME": "/b", "XDG_CACHE_HOME": "/c"}, "/a"),
        ({"HOME": "/home/me"}, "/home/me/.cache/huggingface/hub"),
    ],
)
def test_the_hub_cache_is_where_the_hub_library_looks(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
) -> None:
    for name in ("HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert hub_cache() == Path(expected)


def test_gpus_are_told_by_kind_with_driver_and_processes(nvml: Install, card: Card) -> None:
    busy = [SimpleNamespace(pid=1, usedGpuMemory=1 << 30), SimpleNamespace(pid=2, usedGpuMemory=1 << 30)]
    nvml(card(1), card(2), card(3, ComputeRunningProcesses=busy))
    check = gpu()
    assert check.status == "ok"
    assert check.found == ("3 x NVIDIA H100 80GB HBM3 (85.90 GB), driver 580.159.04; GPU 2 has 2 processes (11.81 GB)")


def test_hidden_gpus_are_a_warning(nvml: Install, card: Card, monkeypatch: pytest.MonkeyPatch) -> None:
    nvml(card(1))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    check = gpu()
    assert check.status == "warn"
    assert "CUDA_VISIBLE_DEVICES='-1'" in check.found


def pci(root: Path, *cards: tuple[str, str]) -> Path:
    for number, (vendor, kind) in enumerate(cards):
        folder = root / str(number)
        folder.mkdir(parents=True)
        (folder / "vendor").write_text(vendor + "\n")
        (folder / "class").write_text(kind + "\n")
    return root


def test_no_gpu_is_a_warning_and_a_mute_driver_a_failure(
    nvml: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nvml(init=pynvml.NVMLError(pynvml.NVML_ERROR_DRIVER_NOT_LOADED))
    monkeypatch.setattr(doctor, "PCI", tmp_path / "none")
    assert gpu() == Check("gpu", "warn", "no GPU: trains on the CPU, watts are not measured", gpu().remedy)
    monkeypatch.setattr(doctor, "PCI", pci(tmp_path / "one", ("0x10de", "0x030200")))
    assert gpu().status == "fail"


def test_only_nvidias_display_cards_count(tmp_path: Path) -> None:
    cards = [("0x10de", "0x030000"), ("0x10de", "0x030200"), ("0x10de", "0x040300"), ("0x8086", "0x030000")]
    assert nvidia_cards(pci(tmp_path, *cards)) == 2


def test_a_check_from_another_process_is_cleaned() -> None:
    check = Check.from_json({"name": "x\x1b[31m", "status": "odd", "found": "a\nb\x07", "remedy": ""})
    assert check == Check("x", "fail", "a b", "")
    assert Check.from_json(Check("a", "warn", "b", "c").as_json()) == Check("a", "warn", "b", "c")

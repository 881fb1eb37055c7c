"""The host's figures: real processes, real memory, and nothing where there is nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from lab.telemetry.host import HostProbe, disk_free, load_average, peak_bytes, process_tree

HOLD = "import sys; data = bytearray(40 << 20); print('ready', flush=True); sys.stdin.read()"
MIB = 1 << 20


@pytest.fixture
def child() -> Iterator[subprocess.Popen[str]]:
    """A process of ours that holds 40 MiB until the test is over."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_the_tree_holds_its_children(child: subprocess.Popen[str]) -> None:
    assert {process.pid for process in process_tree(os.getpid())} >= {os.getpid(), child.pid}
    alone, together = (HostProbe(pid).sample().process_bytes for pid in (child.pid, os.getpid()))
    assert alone is not None
    assert together is not None
    assert alone > 40 * MIB
    assert together > psutil.Process().memory_info().rss + 39 * MIB


def test_a_process_that_is_gone_has_no_memory(child: subprocess.Popen[str]) -> None:
    child.kill()
    child.wait()
    sample = HostProbe(child.pid).sample()
    assert (sample.process_bytes, sample.pids) == (None, frozenset())


def test_a_child_that_ends_between_listing_and_looking_is_left_out(
    child: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = psutil.Process()
    gone = psutil.Process(child.pid)
    child.kill()
    child.wait()
    monkeypatch.setattr("lab.telemetry.host.process_tree", lambda pid: [own, gone])
    assert HostProbe(own.pid).sample().process_bytes == pytest.approx(own.memory_info().rss, rel=0.2)


def test_the_first_look_has_no_processor_load_and_the_next_has() -> None:
    probe = HostProbe(os.getpid())
    first, second = probe.sample(), probe.sample()
    assert first.cpu_percent is None
    assert second.cpu_percent is not None
    assert 0.0 <= second.cpu_percent <= 100.0
    assert 0 < first.memory_used_bytes < first.memory_total_bytes == psutil.virtual_memory().total


def test_disk_free_of_a_folder_that_is_yet_to_be_made(tmp_path: Path) -> None:
    assert disk_free(tmp_path / "not" / "yet") == pytest.approx(psutil.disk_usage(str(tmp_path)).free, rel=0.05)


def test_load_average_is_none_where_the_system_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_average() == pytest.approx(os.getloadavg()[0], abs=5)

    def refuse() -> None:
        raise OSError

    monkeypatch.setattr(os, "getloadavg", refuse)
    assert load_average() is None


def test_the_peak_is_the_programs_own_and_not_that_of_whoever_started_it() -> None:
    held = bytearray(200 * MIB)
    code = (
        "from lab.telemetry.host import peak_bytes; print(peak_bytes()); x = bytearray(30 << 20); print(peak_bytes())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert before < 150 * MIB
    assert after > before + 25 * MIB
    own = peak_bytes()
    assert own is not None
    assert own > len(held)

"""A wish to stop that comes while nobody asks."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab import atomic
from lab.runs.paths import RunPaths
from lab.runs.submission import Submission
from lab.training import stopping
from lab.training.stopping import StopWish, Terminated, slurm_reason, time_limit


@pytest.fixture
def stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StopWish]:
    monkeypatch.setattr(stopping, "POLL_SECONDS", 0.01)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)}
    wish = StopWish(RunPaths(tmp_path))
    wish.listen()
    yield wish
    for number, handler in before.items():
        signal.signal(number, handler)


def ask(folder: Path) -> None:
    atomic.write_json(folder / "stop.json", {"mode": "save", "who": "a test", "t": 0.0})


def load_for_long(stop: StopWish, folder: Path) -> None:
    with stop.at_once():
        ask(folder)
        threading.Event().wait(30.0)


def test_a_wish_interrupts_loading(stop: StopWish, tmp_path: Path) -> None:
    with pytest.raises(Terminated):
        load_for_long(stop, tmp_path)
    assert stop.reason == "stopped by a test"


def test_outside_of_loading_a_wish_waits_to_be_asked_for(stop: StopWish, tmp_path: Path) -> None:
    with stop.at_once():
        pass
    ask(tmp_path)
    signal.raise_signal(signal.SIGUSR1)
    assert stop.asked()


def test_without_a_wish_loading_goes_on_and_nobody_watches_after_it(stop: StopWish) -> None:
    with stop.at_once():
        names = {thread.name for thread in threading.enumerate()}
    assert "stop-wish" in names
    assert "stop-wish" not in {thread.name for thread in threading.enumerate()}
    assert not stop.asked()


JOB = Submission("17", "", 1, "login", 0.0, ("sbatch", "--time=04:00:00", "job.sh"))


@pytest.fixture
def of_slurm(stop: StopWish, tmp_path: Path) -> StopWish:
    wish = StopWish(RunPaths(tmp_path), JOB)
    wish.listen()
    return wish


def test_slurms_sigterm_is_a_wish_and_the_second_ends_at_once(of_slurm: StopWish) -> None:
    signal.raise_signal(signal.SIGTERM)
    assert (of_slurm.asked(), of_slurm.save, of_slurm.interrupted) == (True, True, True)
    assert of_slurm.reason.startswith("Slurm's SIGTERM to job 17: it was cancelled, or its node")
    with pytest.raises(Terminated):
        signal.raise_signal(signal.SIGTERM)


def test_after_a_users_wish_the_first_sigterm_ends_at_once(of_slurm: StopWish, tmp_path: Path) -> None:
    ask(tmp_path)
    with pytest.raises(Terminated):
        signal.raise_signal(signal.SIGTERM)
    assert (of_slurm.reason, of_slurm.interrupted) == ("stopped by a test", False)


def test_slurms_sigterm_interrupts_loading(of_slurm: StopWish) -> None:
    with pytest.raises(Terminated), of_slurm.at_once():
        signal.raise_signal(signal.SIGTERM)
    assert of_slurm.interrupted


@pytest.mark.parametrize(
    ("words", "environment", "ends"),
    [
        (("sbatch", "--time=2:00"), {}, 1120.0),
        (("sbatch", "--time=2:00"), {"SLURM_JOB_END_TIME": "1500"}, 1500.0),
        (("sbatch",), {"SLURM_JOB_END_TIME": "soon"}, None),
    ],
)
def test_when_the_time_is_over(words: tuple[str, ...], environment: dict[str, str], ends: float | None) -> None:
    assert time_limit(replace(JOB, words=words), environment, 1000.0) == ends


@pytest.mark.parametrize(("ends", "near"), [(None, False), (1000.0, False), (999.9 - 790.0, True), (0.0, True)])
def test_why_slurm_sends_a_signal(ends: float | None, near: bool) -> None:
    assert ("time limit is near" in slurm_reason(JOB, ends, 0.0)) is near

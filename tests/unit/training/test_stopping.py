"""A wish to stop that comes while nobody asks."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import atomic
from lab.runs.paths import RunPaths
from lab.training import stopping
from lab.training.stopping import StopWish, Terminated


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

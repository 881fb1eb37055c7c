"""The reader rests while a page is laid out, and never for longer than that takes."""

from __future__ import annotations

import pytest

from lab.console import turns


@pytest.mark.parametrize(
    ("after", "at_least", "rested"),
    [
        (0.0, 0.0, turns.PAGE_SECONDS),
        (0.04, 0.001, turns.PAGE_SECONDS - 0.04),
        (0.2, 0.001, 0.001),
        (0.2, 0.0, 0.0),
        (-3600.0, 0.0, turns.PAGE_SECONDS),  # a clock that was set back
    ],
)
def test_rests(monkeypatch: pytest.MonkeyPatch, after: float, at_least: float, rested: float) -> None:
    now, slept = [1000.0], [0.0]
    monkeypatch.setattr(turns, "_free_at", 0.0)
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("time.sleep", lambda seconds: slept.append(seconds))
    turns.screen_busy()
    now[0] += after
    turns.give_way(at_least)
    assert sum(slept) == pytest.approx(rested)


def test_politely_yields_all() -> None:
    assert list(turns.politely("abc")) == ["a", "b", "c"]

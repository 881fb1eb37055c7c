"""The shape of an event, and mistakes in making one."""

from __future__ import annotations

from typing import Any

import pytest

from lab.runs.events import OUTCOMES, PHASES, event


def test_an_event_is_stamped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 123.5)
    assert event("step", attempt=2, step=7, loss=0.5) == {
        "schema": 1,
        "t": 123.5,
        "type": "step",
        "attempt": 2,
        "step": 7,
        "loss": 0.5,
    }


@pytest.mark.parametrize(
    ("kind", "fields"),
    [("steps", {}), ("phase", {"phase": "completed"}), ("end", {"outcome": "lost"}), ("end", {"outcome": "training"})],
)
def test_unknown_words_are_mistakes(kind: str, fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="unknown"):
        event(kind, attempt=1, step=0, **fields)


def test_known_words_pass() -> None:
    assert [event("phase", attempt=1, step=0, phase=name)["phase"] for name in PHASES] == list(PHASES)
    assert [event("end", attempt=1, step=0, outcome=name)["outcome"] for name in OUTCOMES] == list(OUTCOMES)

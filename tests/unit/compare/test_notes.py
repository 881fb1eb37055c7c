"""The sentences beneath a table that keep its rows from passing for more than they are."""

from __future__ import annotations

import pytest

from lab.compare.entry import Entry
from lab.compare.notes import SMALL_SAYS, above_floor, notes_on

LABELS = {"a": "7B LoRA", "b": "untuned", "floor": "floor"}


def row(name: str = "a", value: float | None = 0.5, *, metric: str = "bleu", kind: str = "run", **more: str) -> Entry:
    return Entry(name, kind, method="lora", metrics={metric: {"value": value, "low": None, "high": None}}, **more)


def told(*entries: Entry) -> str:
    return " ".join(notes_on(entries, LABELS))


def test_the_model_is_named_whatever_rows_are_called() -> None:
    assert "Model of all rows: SmolLM2." in told(row(model="SmolLM2"), row("b", model="SmolLM2"))
    both = told(row(model="SmolLM2"), row("b", model="Qwen"))
    assert "Model: SmolLM2 (7B LoRA)." in both
    assert "Model: Qwen (untuned)." in both


def test_a_small_study_says_that_it_is_one() -> None:
    assert SMALL_SAYS in told(row(study="military-qa-small"))
    assert SMALL_SAYS not in told(row(study="military-qa"))


@pytest.mark.parametrize(
    ("metric", "value", "floor", "above"),
    [
        ("bleu", 0.5, 0.4, True),
        ("bleu", 0.4, 0.4, False),
        ("bleu", None, 0.4, True),
        ("bleu", float("nan"), 0.4, True),
        ("bits_per_byte", 0.3, 0.4, True),
        ("bits_per_byte", 0.5, 0.4, False),
    ],
)
def test_rows_at_the_floor_have_learnt_its_form(metric: str, value: float | None, floor: float, above: bool) -> None:
    bound = row("floor", floor, metric=metric, kind="floor")
    assert above_floor(row(value=value, metric=metric), bound, metric) is above
    assert ("No trained row is above the floor" in told(row(value=value, metric=metric), bound)) is not above


def test_time_that_was_spent_twice_is_told() -> None:
    entry = row()
    entry.cost["replayed_seconds"] = 330.0
    assert "7B LoRA did 05:30 of its steps again" in told(entry)

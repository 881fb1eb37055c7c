"""What a run cost: sums over attempts, and None wherever nothing was measured."""

from __future__ import annotations

from typing import Any

import pytest

from lab.compare.cost import COST_KEYS, cost_of, life_windows
from lab.runs.history import History, fold
from tests.fixtures.folders import FACTS, START, power_samples, training_events


def history(events: list[dict[str, Any]]) -> History:
    return fold({"schema": 1, **event} for event in events)


def resumed() -> History:
    """Two attempts: the first is cut off after step 4, the second replays steps 3 and 4."""
    first = training_events(steps=4)[:-2]
    again = training_events(steps=4, attempt=2, start=START + 1000)
    replayed = [event for event in again if event["type"] != "step" or event["step"] > 2]
    return history([*first, {"type": "resume", "t": START + 1000, "attempt": 2, "step": 2, "from_step": 2}, *replayed])


def test_nothing_measured_is_none_and_never_zero() -> None:
    cost = cost_of(history([]), [], {})
    assert cost == dict.fromkeys(COST_KEYS)


def test_time_and_tokens_are_those_of_steps() -> None:
    cost = cost_of(history(training_events(steps=4)), [], FACTS)
    assert (cost["train_seconds"], cost["train_tokens"], cost["tokens_per_second"]) == (8.0, 400, 50.0)
    assert (cost["peak_memory_bytes"], cost["memory_kind"]) == (1004, "resident set")
    assert (cost["trainable_parameters"], cost["trainable_percent"], cost["artifact_bytes"]) == (10, 1.0, 40_000)


def test_replayed_steps_are_told_apart() -> None:
    """Time and tokens are those of the steps that count; a table would not compare an interrupted run else."""
    cost = cost_of(resumed(), [], FACTS)
    assert (cost["train_seconds"], cost["train_tokens"], cost["replayed_seconds"]) == (8.0, 400, 4.0)
    assert cost["tokens_per_second"] == 50.0
    assert cost_of(history(training_events()), [], FACTS)["replayed_seconds"] is None


def test_a_baseline_has_no_training_cost_but_a_life() -> None:
    cost = cost_of(history(training_events(trained=False)), power_samples(START, START + 30, 100.0), FACTS)
    assert cost["train_seconds"] is None
    assert cost["energy_wh"] is None
    assert cost["energy_total_wh"] == pytest.approx(100 * 30 / 3600)
    assert (cost["energy_method"], cost["energy_shared"]) == ("counter", False)


def test_energy_of_training_and_of_the_whole_life() -> None:
    cost = cost_of(history(training_events(steps=4)), power_samples(START, START + 38, 200.0), FACTS)
    assert cost["energy_wh"] == pytest.approx(200 * 8 / 3600)
    assert cost["energy_total_wh"] == pytest.approx(200 * 38 / 3600)
    assert cost["joules_per_token"] == pytest.approx(200 * 8 / 400)
    assert (cost["mean_watts"], cost["peak_watts"]) == (pytest.approx(200), pytest.approx(200))


def test_energy_sums_attempts_without_the_time_between() -> None:
    samples = power_samples(START, START + 18, 100.0)
    again = [{**s, "attempt": 2} for s in power_samples(START + 1000, START + 1040, 100.0)]
    cost = cost_of(resumed(), [*samples, *again], FACTS)
    assert cost["energy_wh"] == pytest.approx(100 * 16 / 3600)
    assert cost["joules_per_token"] == pytest.approx(100 * 16 / 400)
    assert cost["energy_total_wh"] == pytest.approx(100 * (18 + 38) / 3600)


@pytest.mark.parametrize(("until", "known"), [(18.0, True), (17.0, False)])
def test_energy_needs_nine_tenths_of_the_time(until: float, known: bool) -> None:
    events = [*training_events(steps=5)]
    samples = [s for s in power_samples(START, START + 40, 50.0) if s["t"] <= START + until + 1]
    cost = cost_of(history(events), samples, FACTS)
    assert (cost["energy_wh"] is not None) == known


def test_shared_and_integrated_energy_is_marked() -> None:
    samples = power_samples(START, START + 38, 200.0, joules=None, strangers=1)
    cost = cost_of(history(training_events()), samples, FACTS)
    assert (cost["energy_shared"], cost["energy_method"]) == (True, "integrated")


def test_own_gpu_memory_is_that_of_the_training_phase() -> None:
    samples = power_samples(START, START + 38, 10.0)
    for second, held in ((5, 900), (12, 700), (15, 600), (30, 950)):
        samples[second]["gpus"][0]["process_bytes"] = held
    assert cost_of(history(training_events(steps=4)), samples, FACTS)["nvml_bytes"] == 700


def test_the_wait_in_the_queue_is_no_life() -> None:
    events = [{"type": "phase", "t": START - 500, "phase": "queued"}, *training_events(steps=4)]
    assert life_windows(history(events)) == [(START, START + 38)]


def test_figures_of_the_evaluation() -> None:
    cost = cost_of(history([]), [], {}, {"tokens_per_second": 50.0, "first_token_seconds": None})
    assert (cost["generated_tokens_per_second"], cost["first_token_seconds"]) == (50.0, None)

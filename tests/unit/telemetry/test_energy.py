"""Energy out of samples: counters first, power else, cut at the edges, nothing over gaps, nothing made up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import astuple
from typing import Any

import pytest

from lab.telemetry.energy import EnergyMeter, energy, energy_over


def gpu(watts: float | None = None, joules: float | None = None, uuid: str = "a", **more: Any) -> dict[str, Any]:
    return {"uuid": uuid, "watts": watts, "joules": joules, "strangers": 0, **more}


def at(t: float, *gpus: dict[str, Any], attempt: int = 1) -> dict[str, Any]:
    return {"schema": 1, "t": t, "attempt": attempt, "gpus": list(gpus) or None}


def steady(watts: float, start: int, end: int, attempt: int = 1) -> list[dict[str, Any]]:
    return [at(t, gpu(watts), attempt=attempt) for t in range(start, end + 1)]


COUNTED = [at(t, gpu(watts=100.0, joules=5000.0 + 300.0 * t)) for t in range(11)]  # power reads lower than it was
RELOADED = [at(t, gpu(70, joules)) for t, joules in enumerate([900.0, 1000.0, 5.0, 75.0])]
RAMP = [at(0, gpu(0.0)), at(2, gpu(200.0)), at(4, gpu(0.0))]


@pytest.mark.parametrize(
    ("samples", "window", "joules", "seconds", "method"),
    [
        (steady(200.0, 0, 10), (0, 10), 2000.0, 10.0, "integrated"),
        (COUNTED, (0, 10), 3000.0, 10.0, "counter"),
        (COUNTED, (2.25, 4.75), 750.0, 2.5, "counter"),  # cut between samples
        (COUNTED, (2.25, 2.5), 75.0, 0.25, "counter"),  # within one pair
        (COUNTED, (-50, 3), 900.0, 3.0, "counter"),
        (COUNTED, (8, 99), 600.0, 2.0, "counter"),
        (COUNTED, (-math.inf, math.inf), 3000.0, 10.0, "counter"),
        (RAMP, (0, 4), 400.0, 4.0, "integrated"),
        (RAMP, (1, 3), 300.0, 2.0, "integrated"),  # trapezoids cut where the line stands at 100 W
        (RAMP, (0, 1), 50.0, 1.0, "integrated"),
        # a gap of more than five seconds, and the gap between two attempts however short
        (steady(100.0, 0, 5) + steady(100.0, 11, 15), (0, 15), 900.0, 9.0, "integrated"),
        (steady(100.0, 0, 5) + steady(100.0, 10, 15), (0, 15), 1500.0, 15.0, "integrated"),
        (steady(100.0, 0, 5) + steady(100.0, 6, 10, attempt=2), (0, 10), 900.0, 9.0, "integrated"),
        (
            [at(0, gpu(joules=0.0)), at(9, gpu(joules=900.0)), at(10, gpu(joules=1000.0))],
            (0, 10),
            100.0,
            1.0,
            "counter",
        ),
        # the driver was loaded anew: that second falls back on power, or on nothing
        (RELOADED, (0, 3), 100.0 + 70.0 + 70.0, 3.0, "integrated"),
        ([at(0, gpu(None, 900.0)), at(1, gpu(None, 5.0)), at(2, gpu(None, 75.0))], (0, 2), 70.0, 1.0, "counter"),
        # a sample without power breaks the integral on both sides
        ([at(0, gpu(100)), at(1, gpu()), at(2, gpu(100)), at(3, gpu(100))], (0, 3), 100.0, 1.0, "integrated"),
        ([at(0, gpu(100)), at(1), at(2, gpu(100)), at(3, gpu(100))], (0, 3), 100.0, 1.0, "integrated"),
        # the clock was set back by an hour
        ([*steady(100.0, 3600, 3603), *steady(100.0, 1, 3)], (0, 9999), 500.0, 5.0, "integrated"),
    ],
)
def test_energy_of_one_gpu(
    samples: list[Mapping[str, Any]], window: tuple[float, float], joules: float, seconds: float, method: str
) -> None:
    found = energy(samples, *window)
    assert found is not None
    assert found.joules == pytest.approx(joules)
    assert found.seconds == pytest.approx(seconds)
    assert found.method == method
    assert found.mean_watts == pytest.approx(joules / seconds)
    assert found.wh == pytest.approx(joules / 3600)


@pytest.mark.parametrize(
    ("samples", "window"),
    [
        ([], (0, 10)),
        ([at(0), at(1)], (0, 10)),
        ([{"t": 0}, {"t": 1}], (0, 10)),
        ([at(0, gpu()), at(1, gpu())], (0, 10)),
        ([at(0, gpu(100, 5))], (0, 10)),  # one sample spans no time
        (COUNTED, (20, 30)),
        (COUNTED, (-9, -1)),
        (COUNTED, (4, 4)),
        (COUNTED, (6, 4)),
        ([{"gpus": [gpu(1)]}, {"t": "x", "gpus": [gpu(1)]}, {"t": 1, "gpus": ["?"]}, {"t": 2, "gpus": [7]}], (0, 10)),
        ([at(0, gpu(1, uuid="a")), at(1, gpu(1, uuid="b"))], (0, 10)),
    ],
)
def test_what_was_never_measured_is_none(samples: list[Mapping[str, Any]], window: tuple[float, float]) -> None:
    assert energy(samples, *window) is None


def test_two_gpus_add_up_and_one_without_a_counter_is_integrated() -> None:
    samples = [at(t, gpu(100, 100.0 * t, uuid="a"), gpu(300, None, uuid="b")) for t in range(6)]
    found = energy(samples, 0, 5)
    assert found is not None
    assert astuple(found) == pytest.approx((2000.0, 2000 / 3600, 5.0, 400.0, 400.0, "integrated", False))
    counted = [at(t, gpu(None, 100.0 * t, uuid="a"), gpu(None, 7.0 * t, uuid="b")) for t in range(6)]
    found = energy(counted, 0, 5)
    assert found is not None
    assert found.joules == pytest.approx(535.0)
    assert (found.method, found.peak_watts) == ("counter", None)


@pytest.mark.parametrize(
    ("window", "peak"),
    [((0, 6), 500.0), ((0, 2), 400.0), ((0, 1.5), 250.0), ((4, 6), 100.0)],
)
def test_the_peak_is_that_of_the_window(window: tuple[float, float], peak: float) -> None:
    watts = [100, 100, 400, 500, 100, 100, 100]
    found = energy([at(t, gpu(w)) for t, w in enumerate(watts)], *window)
    assert found is not None
    assert found.peak_watts == pytest.approx(peak)


@pytest.mark.parametrize(
    ("strangers", "window", "shared"),
    [
        ([0, 0, 0, 0], (0, 3), False),
        ([None, None, None, None], (0, 3), False),  # not known is not shared
        ([0, 0, 0, 2], (0, 3), True),
        ([0, 0, 0, 2], (0, 2), False),  # they came after the time asked for
        ([2, 0, 0, 0], (0, 3), True),
        ([2, 0, 0, 0], (1, 3), False),
    ],
)
def test_strangers_within_the_time_asked_for_are_told(
    strangers: list[int | None], window: tuple[float, float], shared: bool
) -> None:
    found = energy([at(t, gpu(100, strangers=count)) for t, count in enumerate(strangers)], *window)
    assert found is not None
    assert found.shared is shared


def test_a_phase_of_several_stretches_sums_them_without_the_pause() -> None:
    samples = steady(100.0, 0, 10) + steady(300.0, 5000, 5010, attempt=2)
    found = energy_over(samples, [(2, 8), (5002, 5004)])
    assert found is not None
    assert (found.joules, found.seconds, found.peak_watts) == pytest.approx((1200.0, 8.0, 300.0))
    assert energy_over(samples, []) is None


def test_numbers_that_json_wrote_as_text_are_no_power() -> None:
    samples = [at(t, {"uuid": "a", "watts": "n/a", "joules": None, "strangers": "many"}) for t in range(3)]
    assert energy(samples, 0, 3) is None


def test_a_meter_follows_a_run_and_ends_where_the_whole_does() -> None:
    meter = EnergyMeter([(2.5, math.inf)])
    assert meter.energy() is None
    for sample in COUNTED[:5]:
        meter.feed(sample)
    so_far = meter.energy()
    assert so_far is not None
    assert (so_far.joules, so_far.seconds) == pytest.approx((450.0, 1.5))
    for sample in COUNTED[5:]:
        meter.feed(sample)
    assert meter.energy() == energy(COUNTED, 2.5, math.inf)
    everything = EnergyMeter()
    for sample in COUNTED:
        everything.feed(sample)
    assert everything.energy() == energy(COUNTED, 0, 10)

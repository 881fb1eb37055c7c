"""The time left comes from the present pace alone: no pauses, no replayed steps, nothing made up."""

from __future__ import annotations

import pytest

from lab.series.eta import eta_seconds, seconds_per_step, tokens_per_second

Points = list[tuple[int, float]]
STEADY: Points = [(step, 100.0 + 2.0 * step) for step in range(1, 11)]


@pytest.mark.parametrize(
    ("recent", "since", "expected"),
    [
        ([], None, None),
        ([(1, 5.0)], None, None),
        (STEADY, None, 2.0),
        ([(10, 0.0), (20, 5.0), (30, 10.0)], None, 0.5),  # reported every ten steps
        ([*STEADY, (11, 500.0), (12, 502.0)], None, 2.0),  # an evaluation before step 11
        ([(8, 16.0), (9, 3600.0)], 3590.0, None),  # resumed: one report says nothing yet
        ([(8, 16.0), (9, 3600.0), (10, 3604.0)], 3590.0, 4.0),
        ([(11, 20.0), (12, 22.0), (9, 900.0), (10, 903.0)], None, 2.5),  # 12 -> 9 is no step
        ([(1, 50.0), (2, 40.0), (3, 41.0)], None, 1.0),  # the clock was set back
    ],
)
def test_seconds_per_step(recent: Points, since: float | None, expected: float | None) -> None:
    assert seconds_per_step(recent, since=since) == expected


def test_only_the_last_steps_count() -> None:
    slowed = [(step, float(step)) for step in range(100)] + [(99 + k, 99.0 + 10 * k) for k in range(1, 11)]
    assert seconds_per_step(slowed, window=10) == 10.0
    assert seconds_per_step(slowed, window=50) == 1.0


@pytest.mark.parametrize(
    ("done", "total", "recent", "expected"),
    [
        (10, 30, STEADY, 40.0),
        (3, 30, STEADY, 54.0),  # back at 3 after a resume: the rest is all that is not done in this attempt
        (30, 30, STEADY, 0.0),
        (31, 30, [], 0.0),
        (1, 30, [], None),
        (10, None, STEADY, None),
    ],
)
def test_eta_seconds(done: int, total: int | None, recent: Points, expected: float | None) -> None:
    assert eta_seconds(done, total, recent) == expected


@pytest.mark.parametrize(
    ("tokens", "seconds", "expected"),
    [
        ([], [], None),
        ([100], [0.0], None),
        ([100, 300], [1.0, 1.0], 200.0),
        ([100, 300], [1.0, 3.0], 100.0),  # a mean of rates, unweighted, would also be 100; the next tells them apart
        ([100, 900], [1.0, 3.0], 250.0),
        ([100, 900], [float("nan"), 3.0], 300.0),
        ([9, 9, 9, 100, 200], [9.0, 9.0, 9.0, 1.0, 1.0], 150.0),
    ],
)
def test_tokens_per_second(tokens: list[int], seconds: list[float], expected: float | None) -> None:
    assert tokens_per_second(tokens, seconds, window=2) == expected

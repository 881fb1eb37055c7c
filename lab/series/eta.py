"""How long the rest takes and how fast it goes, out of the last steps: the live line of the console and of `watch`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

WINDOW = 50


def seconds_per_step(
    recent: Sequence[tuple[int, float]], *, since: float | None = None, window: int = WINDOW
) -> float | None:
    """Return the median time of a step over the last `window` reports; None until two reports can be compared.

    The median keeps evaluations and saves between two steps from counting.

    Args:
        recent: (step, Unix seconds at its end), in the order written; not every step needs a report.
        since: the start of the present attempt, Unix seconds: the pause before it says nothing about speed.
    """
    points = [(step, t) for step, t in recent[-window - 1 :] if since is None or t >= since]
    times = [
        (later - earlier) / (step - previous)
        for (previous, earlier), (step, later) in pairwise(points)
        if step > previous and later >= earlier  # going back means a resume, or a clock that was set
    ]
    return median(times) if times else None


def eta_seconds(
    steps_done: int,
    total_steps: int | None,
    recent: Sequence[tuple[int, float]],
    *,
    since: float | None = None,
    window: int = WINDOW,
) -> float | None:
    """Return the seconds that the remaining steps take at the median pace; None until it can be known.

    Args:
        steps_done: the last step of the present attempt: steps that a resume replays are not done yet.
        total_steps: None where the length is not known.
        recent, since, window: as in `seconds_per_step`.
    """
    if total_steps is None:
        return None
    if steps_done >= total_steps:
        return 0.0
    pace = seconds_per_step(recent, since=since, window=window)
    return None if pace is None else (total_steps - steps_done) * pace


def tokens_per_second(tokens: Sequence[int], seconds: Sequence[float], *, window: int = WINDOW) -> float | None:
    """Return tokens a second over the last `window` steps, weighted by time; None where no time was measured.

    Args:
        tokens, seconds: of each step alone, so that evaluations and saves between steps do not count.
    """
    spent = [
        (count, time)
        for count, time in zip(tokens[-window:], seconds[-window:], strict=True)
        if math.isfinite(time) and time > 0
    ]
    total = sum(time for _, time in spent)
    return sum(count for count, _ in spent) / total if total > 0 else None

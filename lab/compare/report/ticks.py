"""Round numbers for axes, and how they are written. Called by the charts."""

from __future__ import annotations

import math


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return round numbers (1, 2 or 5 times a power of ten apart) from `low` to `high`, about `count` of them."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return [low] if math.isfinite(low) else []
    step = _step((high - low) / max(1, count - 1))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def outward(low: float, high: float, count: int = 5) -> tuple[float, float]:
    """Return the next round numbers outside `low` and `high`; two equal bounds are drawn apart, zeros up to one."""
    if low == high == 0:
        return 0.0, 1.0
    if high <= low:
        apart = abs(low) * 0.1 or 1.0
        low, high = low - apart, high + apart
    step = _step((high - low) / max(1, count - 1))
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step


def tick_label(value: float, step: float) -> str:
    """Return an axis number with as many decimals as neighbours `step` apart need."""
    if abs(value) < step / 1e6:
        return "0"
    if abs(value) >= 10_000:
        for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
            if abs(value) >= limit:
                return f"{value / limit:.4g}{unit}"
    decimals = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 0
    return f"{value:,.{min(decimals, 6)}f}"


def _step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return power * next(nice for nice in (1.0, 2.0, 5.0, 10.0) if nice * power >= rough * 0.999_999)

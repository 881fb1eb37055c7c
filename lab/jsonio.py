"""JSON as the run folder writes it: one line, UTF-8, NaN and infinity as strings, so that any parser reads it."""

from __future__ import annotations

import json
import math
from typing import Any


def dumps(value: Any, *, indent: int | None = None) -> str:
    """Return `value` as strict JSON; floats that JSON cannot hold become "nan", "inf" and "-inf"."""
    return json.dumps(_strict(value), ensure_ascii=False, allow_nan=False, indent=indent)


def _strict(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    return value


def as_float(value: Any) -> float | None:
    """Read a number written by `dumps`: the strings "nan", "inf", "-inf" come back as floats, anything else is None.

    A whole number beyond all floats is infinite, as 1e400 is to any JSON parser.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    if value in ("nan", "inf", "-inf"):
        return float(value)
    return None

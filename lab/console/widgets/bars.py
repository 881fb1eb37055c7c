"""Bars and one-line curves out of block characters, with plain ones for terminals that lack them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lab.console.widgets.parts import Part

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII_BLOCKS = "_.-=+*#@"


def progress(share: float | None, width: int, *, plain: bool = False, style: str = "$primary") -> list[Part]:
    """Return a bar of `width` columns that is filled by `share` (0 to 1); None means that the end is not known."""
    full, empty = ("=", "-") if plain else ("━", "━")
    done = 0 if share is None else round(min(max(share, 0.0), 1.0) * width)
    return [(full * done, style), (empty * (width - done), "$rule")]


def sparkline(values: Sequence[float], width: int, *, plain: bool = False, top: float = 0.0) -> str:
    """Return `values` as one line of at most `width` characters; a value that is not finite shows as `×`.

    Args:
        top: above 0 the scale goes from 0 to at least there; else from the least value to the greatest.
    """
    glyphs = ASCII_BLOCKS if plain else BLOCKS
    if len(values) > width:
        values = [values[index * (len(values) - 1) // max(width - 1, 1)] for index in range(width)]
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return ("x" if plain else "×") * len(values)
    low = 0.0 if top > 0 else min(finite)
    span = max(*finite, top) - low if top > 0 else max(finite) - low
    return "".join(_glyph(value, low, span, glyphs, plain) for value in values)


def _glyph(value: float, low: float, span: float, glyphs: str, plain: bool) -> str:
    if not math.isfinite(value):
        return "x" if plain else "×"
    return glyphs[round((value - low) / span * (len(glyphs) - 1))] if span else glyphs[len(glyphs) // 2]

"""The kernels of rotary positions, in Triton. Called by `modeling.fast.kernels` alone, as `modeling.fast.tritons`."""
# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

from importlib import import_module
from typing import Any

from torch import Tensor

triton: Any = import_module("triton")  # comes with torch for CUDA and is not there otherwise
tl: Any = import_module("triton.language")

HEADS_A_PROGRAM = 8


@triton.jit
def _turned(cos, sin, token, half: tl.constexpr):
    """Return the angles of a token's first and second halves, each (1, half): two cosines, two sines."""
    angle = token * (2 * half) + tl.arange(0, half)
    cos_a, cos_b = tl.load(cos + angle).to(tl.float32)[None, :], tl.load(cos + angle + half).to(tl.float32)[None, :]
    sin_a, sin_b = tl.load(sin + angle).to(tl.float32)[None, :], tl.load(sin + angle + half).to(tl.float32)[None, :]
    return cos_a, cos_b, sin_a, sin_b


@triton.jit
def _rotate(y, cos, sin, stride, heads, sign: tl.constexpr, half: tl.constexpr, heads_a_program: tl.constexpr):
    token = tl.program_id(0).to(tl.int64)
    head = tl.program_id(1) * heads_a_program + tl.arange(0, heads_a_program)
    at = tl.arange(0, half)
    inside = (head < heads)[:, None] & (at < half)[None, :]
    first = y + token * stride + head[:, None] * (2 * half) + at[None, :]
    a = tl.load(first, mask=inside, other=0.0).to(tl.float32)
    b = tl.load(first + half, mask=inside, other=0.0).to(tl.float32)
    cos_a, cos_b, sin_a, sin_b = _turned(cos, sin, token, half)
    if sign > 0:
        new_a, new_b = a * cos_a - b * sin_a, b * cos_b + a * sin_b
    else:
        new_a, new_b = a * cos_a + b * sin_b, b * cos_b - a * sin_a
    tl.store(first, new_a.to(y.dtype.element_ty), mask=inside)
    tl.store(first + half, new_b.to(y.dtype.element_ty), mask=inside)


@triton.jit
def _rotate_apart(
    y, query, key, value, cos, sin, queries, keys, values, half: tl.constexpr, heads_a_program: tl.constexpr
):
    token = tl.program_id(0).to(tl.int64)
    head = tl.program_id(1) * heads_a_program + tl.arange(0, heads_a_program)
    at = tl.arange(0, half)[None, :]
    inside = (head < queries + keys + values)[:, None] & (at < half)
    first = y + (token * (queries + keys + values) + head[:, None]) * (2 * half) + at
    a, b = tl.load(first, mask=inside, other=0.0), tl.load(first + half, mask=inside, other=0.0)
    cos_a, cos_b, sin_a, sin_b = _turned(cos, sin, token, half)
    wide_a, wide_b = a.to(tl.float32), b.to(tl.float32)
    kind = y.dtype.element_ty
    new_a, new_b = (wide_a * cos_a - wide_b * sin_a).to(kind), (wide_b * cos_b + wide_a * sin_b).to(kind)
    is_query, is_value = (head < queries)[:, None], (head >= queries + keys)[:, None]
    place = query + (token * queries + head[:, None]) * (2 * half) + at
    tl.store(place, new_a, mask=inside & is_query)
    tl.store(place + half, new_b, mask=inside & is_query)
    place = key + (token * keys + head[:, None] - queries) * (2 * half) + at
    is_key = (head >= queries)[:, None] & (head < queries + keys)[:, None]
    tl.store(place, new_a, mask=inside & is_key)
    tl.store(place + half, new_b, mask=inside & is_key)
    place = value + (token * values + head[:, None] - queries - keys) * (2 * half) + at
    tl.store(place, a, mask=inside & is_value)
    tl.store(place + half, b, mask=inside & is_value)


@triton.jit
def _rotate_together(
    y, query, key, value, cos, sin, queries, keys, values, half: tl.constexpr, heads_a_program: tl.constexpr
):
    token = tl.program_id(0).to(tl.int64)
    head = tl.program_id(1) * heads_a_program + tl.arange(0, heads_a_program)
    at = tl.arange(0, half)[None, :]
    inside = (head < queries + keys + values)[:, None] & (at < half)
    is_query, is_value = (head < queries)[:, None], (head >= queries + keys)[:, None]
    is_key = (head >= queries)[:, None] & (head < queries + keys)[:, None]
    place = query + (token * queries + head[:, None]) * (2 * half) + at
    a = tl.load(place, mask=inside & is_query, other=0.0)
    b = tl.load(place + half, mask=inside & is_query, other=0.0)
    place = key + (token * keys + head[:, None] - queries) * (2 * half) + at
    a += tl.load(place, mask=inside & is_key, other=0.0)
    b += tl.load(place + half, mask=inside & is_key, other=0.0)
    place = value + (token * values + head[:, None] - queries - keys) * (2 * half) + at
    a += tl.load(place, mask=inside & is_value, other=0.0)
    b += tl.load(place + half, mask=inside & is_value, other=0.0)
    cos_a, cos_b, sin_a, sin_b = _turned(cos, sin, token, half)
    wide_a, wide_b = a.to(tl.float32), b.to(tl.float32)
    kind = y.dtype.element_ty
    new_a, new_b = (wide_a * cos_a + wide_b * sin_b).to(kind), (wide_b * cos_b - wide_a * sin_a).to(kind)
    first = y + (token * (queries + keys + values) + head[:, None]) * (2 * half) + at
    tl.store(first, tl.where(is_value, a, new_a), mask=inside)
    tl.store(first + half, tl.where(is_value, b, new_b), mask=inside)


def rotate_(y: Tensor, cos: Tensor, sin: Tensor, heads: int, *, back: bool) -> None:
    """Rotate the first `heads` heads of each row of `y` (tokens, features) in place."""
    half = cos.shape[-1] // 2
    grid = (len(y), triton.cdiv(heads, HEADS_A_PROGRAM))
    _rotate[grid](y, cos, sin, y.stride(0), heads, -1 if back else 1, half, HEADS_A_PROGRAM, num_warps=4)


def rotate_apart(y: Tensor, cos: Tensor, sin: Tensor, counts: tuple[int, int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Return queries, keys (both turned) and values, each (tokens, heads, width), out of `y` (tokens, features)."""
    width = cos.shape[-1]
    query, key, value = (y.new_empty(len(y), count, width) for count in counts)
    grid = (len(y), triton.cdiv(sum(counts), HEADS_A_PROGRAM))
    _rotate_apart[grid](y, query, key, value, cos, sin, *counts, width // 2, HEADS_A_PROGRAM, num_warps=4)
    return query, key, value


def rotate_together(query: Tensor, key: Tensor, value: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Return the gradient (tokens, features) of what `rotate_apart` took apart."""
    counts, width = (query.shape[1], key.shape[1], value.shape[1]), cos.shape[-1]
    y = query.new_empty(len(query), sum(counts) * width)
    grid = (len(y), triton.cdiv(sum(counts), HEADS_A_PROGRAM))
    _rotate_together[grid](y, query, key, value, cos, sin, *counts, width // 2, HEADS_A_PROGRAM, num_warps=4)
    return y

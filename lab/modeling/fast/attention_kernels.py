"""The kernels of attention over short documents, in Triton. Called by `modeling.fast.documents` alone.

A program holds some tokens for one key head and all query heads that share it: its rows are (token, head of the group)
pairs, so that keys and values are read once a group and their gradients are sums within a program. Tokens see from the
first token of their document to themselves. Nothing is added up by atomics: results repeat bit for bit.

Arithmetic as in FlashAttention 2 (Dao, 2023): scores in fp32 and base 2, probabilities rounded to the inputs' precision
before they are multiplied.
"""
# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch
from torch import Tensor

triton: Any = import_module("triton")  # comes with torch for CUDA and is not there otherwise
tl: Any = import_module("triton.language")

ROWS = 64
"""(Token, head of the group) pairs of a tile: what a warp group of Hopper multiplies at once."""
FORWARD = {"keys_a_tile": 32, "num_warps": 4, "num_stages": 3}
QUERIES = {"keys_a_tile": 32, "num_warps": 4, "num_stages": 3}
KEYS = {"keys_a_tile": 64, "num_warps": 4, "num_stages": 3}
"""Of eight or nine tilings each on an H100 the fastest over Alpaca's rows, four query heads a key head, 64 wide."""
WIDE, WIDE_KEYS = 128, {"keys_a_tile": 32, "num_warps": 4, "num_stages": 2}
"""Heads this wide would fill the registers otherwise, and more shared memory than smaller GPUs have."""
LOG2E = 1.4426950408889634


@triton.jit
def _rows(token_0, tokens, head, heads, group: tl.constexpr, padded: tl.constexpr, tile: tl.constexpr):
    """Return the rows of a tile: their tokens, their places among (tokens, heads), and which of them exist."""
    row = tl.arange(0, tile * padded)
    token, member = token_0 + row // padded, row % padded
    exists = (token < tokens) & (member < group)
    place = token.to(tl.int64) * heads + head * group + member
    return token, place, exists


@triton.jit
def _forward(
    query,
    key,
    value,
    out,
    normaliser,
    starts,
    tokens,
    heads,
    scale,
    group: tl.constexpr,
    padded: tl.constexpr,
    width: tl.constexpr,
    tokens_a_tile: tl.constexpr,
    keys_a_tile: tl.constexpr,
):
    token_0, head = tl.program_id(0) * tokens_a_tile, tl.program_id(1)
    token, place, exists = _rows(token_0, tokens, head, heads, group, padded, tokens_a_tile)
    at, key_heads = tl.arange(0, width), heads // group
    here = place[:, None] * width + at[None, :]
    q = tl.load(query + here, mask=exists[:, None], other=0.0)
    start = tl.load(starts + token, mask=token < tokens, other=0)
    high = tl.full((tokens_a_tile * padded,), float("-inf"), tl.float32)
    total = tl.zeros((tokens_a_tile * padded,), tl.float32)
    made = tl.zeros((tokens_a_tile * padded, width), tl.float32)
    stop = tl.minimum(token_0 + tokens_a_tile, tokens)
    for begin in range(tl.load(starts + token_0), stop, keys_a_tile):
        column = begin + tl.arange(0, keys_a_tile)
        there = (column.to(tl.int64)[:, None] * key_heads + head) * width + at[None, :]
        k = tl.load(key + there, mask=(column < stop)[:, None], other=0.0)
        v = tl.load(value + there, mask=(column < stop)[:, None], other=0.0)
        score = tl.dot(q, tl.trans(k), input_precision="ieee") * scale
        seen = (column[None, :] >= start[:, None]) & (column[None, :] <= token[:, None])
        score = tl.where(seen, score, -1e30)
        higher = tl.maximum(high, tl.max(score, 1))
        weight = tl.where(seen, tl.exp2(score - higher[:, None]), 0.0)
        fade = tl.exp2(high - higher)
        total = total * fade + tl.sum(weight, 1)
        made = made * fade[:, None] + tl.dot(weight.to(v.dtype), v, input_precision="ieee")
        high = higher
    total = tl.where(exists, total, 1.0)
    tl.store(out + here, (made / total[:, None]).to(out.dtype.element_ty), mask=exists[:, None])
    tl.store(normaliser + place, high + tl.log2(total), mask=exists)


@triton.jit
def _query_backward(
    query,
    key,
    value,
    out,
    normaliser,
    gradient,
    query_gradient,
    shares,
    starts,
    tokens,
    heads,
    scale,
    plain_scale,
    group: tl.constexpr,
    padded: tl.constexpr,
    width: tl.constexpr,
    tokens_a_tile: tl.constexpr,
    keys_a_tile: tl.constexpr,
):
    token_0, head = tl.program_id(0) * tokens_a_tile, tl.program_id(1)
    token, place, exists = _rows(token_0, tokens, head, heads, group, padded, tokens_a_tile)
    at, key_heads = tl.arange(0, width), heads // group
    here = place[:, None] * width + at[None, :]
    q = tl.load(query + here, mask=exists[:, None], other=0.0)
    dy = tl.load(gradient + here, mask=exists[:, None], other=0.0)
    y = tl.load(out + here, mask=exists[:, None], other=0.0)
    share = tl.sum(dy.to(tl.float32) * y.to(tl.float32), 1)
    tl.store(shares + place, share, mask=exists)
    norm = tl.load(normaliser + place, mask=exists, other=0.0)
    start = tl.load(starts + token, mask=token < tokens, other=0)
    made = tl.zeros((tokens_a_tile * padded, width), tl.float32)
    stop = tl.minimum(token_0 + tokens_a_tile, tokens)
    for begin in range(tl.load(starts + token_0), stop, keys_a_tile):
        column = begin + tl.arange(0, keys_a_tile)
        there = (column.to(tl.int64)[:, None] * key_heads + head) * width + at[None, :]
        k = tl.load(key + there, mask=(column < stop)[:, None], other=0.0)
        v = tl.load(value + there, mask=(column < stop)[:, None], other=0.0)
        score = tl.dot(q, tl.trans(k), input_precision="ieee") * scale
        seen = (column[None, :] >= start[:, None]) & (column[None, :] <= token[:, None]) & exists[:, None]
        weight = tl.where(seen, tl.exp2(score - norm[:, None]), 0.0)
        pulled = tl.dot(dy, tl.trans(v), input_precision="ieee")
        slope = (weight * (pulled - share[:, None])).to(k.dtype)
        made += tl.dot(slope, k, input_precision="ieee")
    tl.store(query_gradient + here, (made * plain_scale).to(query_gradient.dtype.element_ty), mask=exists[:, None])


@triton.jit
def _key_backward(
    query,
    key,
    value,
    normaliser,
    gradient,
    key_gradient,
    value_gradient,
    shares,
    starts,
    stops,
    tokens,
    heads,
    scale,
    plain_scale,
    group: tl.constexpr,
    padded: tl.constexpr,
    width: tl.constexpr,
    tokens_a_tile: tl.constexpr,
    keys_a_tile: tl.constexpr,
):
    first, head = tl.program_id(0) * keys_a_tile, tl.program_id(1)
    column, at, key_heads = first + tl.arange(0, keys_a_tile), tl.arange(0, width), heads // group
    there = (column.to(tl.int64)[:, None] * key_heads + head) * width + at[None, :]
    k = tl.load(key + there, mask=(column < tokens)[:, None], other=0.0)
    v = tl.load(value + there, mask=(column < tokens)[:, None], other=0.0)
    dk = tl.zeros((keys_a_tile, width), tl.float32)
    dv = tl.zeros((keys_a_tile, width), tl.float32)
    last = tl.load(stops + tl.minimum(first + keys_a_tile, tokens) - 1)
    for token_0 in range(first, last, tokens_a_tile):
        token, place, exists = _rows(token_0, tokens, head, heads, group, padded, tokens_a_tile)
        here = place[:, None] * width + at[None, :]
        q = tl.load(query + here, mask=exists[:, None], other=0.0)
        dy = tl.load(gradient + here, mask=exists[:, None], other=0.0)
        start = tl.load(starts + token, mask=token < tokens, other=0)
        norm = tl.load(normaliser + place, mask=exists, other=0.0)
        share = tl.load(shares + place, mask=exists, other=0.0)
        score = tl.dot(k, tl.trans(q), input_precision="ieee") * scale
        seen = (column[:, None] >= start[None, :]) & (column[:, None] <= token[None, :]) & exists[None, :]
        weight = tl.where(seen, tl.exp2(score - norm[None, :]), 0.0)
        dv += tl.dot(weight.to(dy.dtype), dy, input_precision="ieee")
        pulled = tl.dot(v, tl.trans(dy), input_precision="ieee")
        slope = (weight * (pulled - share[None, :])).to(q.dtype)
        dk += tl.dot(slope, q, input_precision="ieee")
    inside = (column < tokens)[:, None]
    tl.store(key_gradient + there, (dk * plain_scale).to(key_gradient.dtype.element_ty), mask=inside)
    tl.store(value_gradient + there, dv.to(value_gradient.dtype.element_ty), mask=inside)


def attend_forward(query: Tensor, key: Tensor, value: Tensor, starts: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Return what is attended to, like `query`, and each row's normaliser (tokens, heads): log2 of its sum, fp32."""
    tokens, heads, width = query.shape
    out, normaliser = torch.empty_like(query), torch.empty(tokens, heads, dtype=torch.float32, device=query.device)
    form = _form(heads // key.shape[1], width)
    grid = (triton.cdiv(tokens, form["tokens_a_tile"]), key.shape[1])
    _forward[grid](query, key, value, out, normaliser, starts, tokens, heads, scale * LOG2E, **form, **FORWARD)
    return out, normaliser


def attend_backward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    out: Tensor,
    normaliser: Tensor,
    gradient: Tensor,
    spans: Tensor,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of `query`, `key` and `value` from that of `out`.

    Args:
        spans: (2, tokens) int32, where each token's document begins and ends.
    """
    starts, stops = spans[0], spans[1]
    tokens, heads, width = query.shape
    dq, dk, dv = torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)
    shares = torch.empty_like(normaliser)
    form, sizes = _form(heads // key.shape[1], width), (tokens, heads, scale * LOG2E, scale)
    grid = (triton.cdiv(tokens, form["tokens_a_tile"]), key.shape[1])
    _query_backward[grid](query, key, value, out, normaliser, gradient, dq, shares, starts, *sizes, **form, **QUERIES)
    keys = KEYS if width < WIDE else WIDE_KEYS
    grid = (triton.cdiv(tokens, keys["keys_a_tile"]), key.shape[1])
    _key_backward[grid](query, key, value, normaliser, gradient, dk, dv, shares, starts, stops, *sizes, **form, **keys)
    return dq, dk, dv


def _form(group: int, width: int) -> dict[str, int]:
    padded = triton.next_power_of_2(group)
    return {"group": group, "padded": padded, "width": width, "tokens_a_tile": max(1, ROWS // padded)}

"""Which rows each optimiser step sees: from their lengths and the seed alone, so that a resume finds its place again.

How a step's rows are laid out for the model is another matter (`batches`): it changes what is computed, not what is
learnt. Called by the recipe, the trainer and `lab plan`.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice

import torch
from torch.utils.data import Sampler

from lab.profile.schema import Train

WINDOW_STEPS = 32
"""Rows are packed among those that fill about so many steps: enough to fit well, few enough to stay in random order."""


@dataclass(frozen=True)
class StepSize:
    """Rows an optimiser step, exactly; or, where `tokens` is above 0, at most so many tokens."""

    examples: int
    tokens: int = 0

    @classmethod
    def of(cls, train: Train) -> StepSize:
        return cls(train.examples_per_step, train.tokens_per_step)


class StepSampler(Sampler[list[int]]):
    """Yields the rows of one optimiser step after the other, through as many epochs as `total` steps take.

    Rows are drawn without replacement, in an order of its own each epoch; those of a step come longest first. The
    first steps of a longer run are those of a shorter one.
    """

    def __init__(self, lengths: Sequence[int], size: StepSize, seed: int, total: int) -> None:
        self.lengths = lengths
        self.size = size
        self.seed = seed
        self.total = total

    def __len__(self) -> int:
        return self.total

    def __iter__(self) -> Iterator[list[int]]:
        endless = (step for epoch in count() for step in epoch_steps(self.lengths, self.size, self.seed, epoch))
        return islice(endless, self.total)


def epoch_steps(lengths: Sequence[int], size: StepSize, seed: int, epoch: int) -> list[list[int]]:
    """Return the rows of each optimiser step of one epoch.

    Args:
        lengths: tokens of each row; none may be longer than `size.tokens` where that is above 0.
    """
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order = torch.randperm(len(lengths), generator=generator).tolist()
    if not size.tokens:
        steps = [order[start : start + size.examples] for start in range(0, len(order), size.examples)]
        return [sorted(step, key=lambda row: (-lengths[row], row)) for step in steps]
    steps = []
    for window in _windows(order, lengths, size.tokens * WINDOW_STEPS):
        packed = pack([lengths[row] for row in window], size.tokens)
        shuffled = torch.randperm(len(packed), generator=generator).tolist()
        steps += [[window[place] for place in packed[index]] for index in shuffled]
    return steps


def count_steps(lengths: Sequence[int], size: StepSize, seed: int, epochs: float) -> int:
    """Return the optimiser steps that `epochs` passes over the rows take; part of an epoch is rounded up to a step."""
    if not size.tokens:
        return _rounded_up(epochs * math.ceil(len(lengths) / size.examples))
    whole = sum(len(epoch_steps(lengths, size, seed, epoch)) for epoch in range(int(epochs)))
    rest = epochs - int(epochs)
    return whole + (_rounded_up(rest * len(epoch_steps(lengths, size, seed, int(epochs)))) if rest else 0)


def _rounded_up(steps: float) -> int:
    """Return the next whole number; 11.000000000000002, which is 1.1 x 10 in binary, is 11."""
    return math.ceil(round(steps, 6))


def pack(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Return the places of `lengths` in as few bins of `capacity` as best-fit decreasing finds, longest first in each.

    Best fit fills its bins with rows of like length one after the other. Where as many bins suffice, the rows are dealt
    out instead, each to the emptiest bin, longest first: then bins are about equally full, and each holds long rows
    and short ones.
    """
    order = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    fitted = _best_fit(order, lengths, capacity)
    return _deal(order, lengths, capacity, len(fitted)) or fitted


def deal(lengths: Sequence[int], bins: int) -> list[list[int]]:
    """Return the places of `lengths` in `bins` bins that are about equally full, longest first in each."""
    order = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    return _deal(order, lengths, sum(lengths), bins) or []


def _best_fit(order: Sequence[int], lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Put each of `order` into the fullest bin that still takes it. Source: Johnson et al. 1974, best fit."""
    bins: list[list[int]] = []
    rooms: list[tuple[int, int]] = []  # (room left, bin), sorted
    for place in order:
        found = bisect_left(rooms, (lengths[place], 0))
        room, index = rooms.pop(found) if found < len(rooms) else (capacity, len(bins))
        if index == len(bins):
            bins.append([])
        bins[index].append(place)
        insort(rooms, (room - lengths[place], index))
    return bins


def _deal(order: Sequence[int], lengths: Sequence[int], capacity: int, bins: int) -> list[list[int]] | None:
    """Put each of `order` into the emptiest of `bins` bins; None where one would overflow. Source: Graham 1969, LPT."""
    dealt: list[list[int]] = [[] for _ in range(bins)]
    heap = [(0, index) for index in range(bins)]
    for place in order:
        full, index = heap[0]
        if full + lengths[place] > capacity:
            return None
        dealt[index].append(place)
        heapq.heapreplace(heap, (full + lengths[place], index))
    return dealt


def _windows(order: Sequence[int], lengths: Sequence[int], tokens: int) -> list[list[int]]:
    """Cut `order` into runs of at least `tokens` tokens; what is left at the end joins the last one."""
    windows: list[list[int]] = []
    held = tokens
    for row in order:
        if held >= tokens:
            windows.append([])
            held = 0
        windows[-1].append(row)
        held += lengths[row]
    if len(windows) > 1 and held < tokens:
        windows[-2:] = [windows[-2] + windows[-1]]
    return windows

"""The order of rows: drawn anew each epoch from the seed alone, so that a resume finds its place again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Sampler


class StepSampler(Sampler[int]):
    """Draws rows without replacement; those of one optimiser step come longest first, so micro-batches pad little.

    Which rows share a step does not depend on how the step is split into micro-batches.

    Args:
        lengths: tokens of each row.
        examples_per_step: rows an optimiser step.
    """

    def __init__(self, lengths: Sequence[int], examples_per_step: int, seed: int) -> None:
        self.lengths = lengths
        self.examples_per_step = examples_per_step
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of epoch `epoch`; called by the data loader."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(len(self.lengths), generator=generator).tolist()
        for start in range(0, len(order), self.examples_per_step):
            step = order[start : start + self.examples_per_step]
            yield from sorted(step, key=lambda row: (-self.lengths[row], row))

"""The numbers of an optimiser step, read from the device when they are there. Called by the trainer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lab.training.batches import Step, StepCounts


@dataclass(frozen=True)
class Measured:
    """One optimiser step as it was, once the device has told.

    Attributes:
        losses: each micro-batch's share of the loss; they add up to it. The last is that of other processes, if any.
        ids: the rows of each micro-batch; of those of other processes nothing is known.
    """

    step: int
    loss: float
    grad_norm: float
    learning_rate: float
    counts: StepCounts
    losses: list[float]
    ids: list[list[str]]


class Pending:
    """A step whose numbers are still on their way from the device.

    Args:
        losses: of the micro-batches, (n,), or (n + 1,) with that of other processes.
    """

    def __init__(self, number: int, rate: float, step: Step, losses: Tensor, grad_norm: Tensor) -> None:
        self.number, self.rate, self.step = number, rate, step
        numbers = torch.cat([losses.float(), grad_norm.detach().float().reshape(1)])
        self._numbers = numbers.to("cpu", non_blocking=True)
        self._there = torch.cuda.Event() if numbers.is_cuda else None
        if self._there is not None:
            self._there.record()

    def read(self) -> Measured:
        """Wait for the numbers and return them."""
        if self._there is not None:
            self._there.synchronize()
        *losses, grad_norm = self._numbers.tolist()
        ids = [batch["ids"] for batch in self.step.batches]
        ids += [[] for _ in losses[len(ids) :]]
        return Measured(self.number, sum(losses), grad_norm, self.rate, self.step.counts, losses, ids)

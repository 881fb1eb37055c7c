"""A process among those that train one run together, each on a GPU of its own. Called by the trainer.

Each holds the whole model and computes losses and gradients of its share of a step's rows. All add them up and take the
same optimiser step, so that they stay equal: the GPUs should be of one kind. Rank 0 leads: it alone writes, saves and
hears wishes, and the others do what it decides. Tensors go over NCCL on GPUs; decisions, and everything on a CPU, over
gloo.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch._utils import _flatten_dense_tensors, _unflatten_dense_tensors

BUCKET_BYTES = 256 << 20
"""Gradients are added up in pieces of at most this size, each of them a copy; a larger one is added up where it is."""
MEMORY_BYTES = 1 << 30
"""What a GPU needs besides what the model takes: that copy, and NCCL's own buffers."""
STRIDE = 1_000_003
"""Between the seeds of two ranks' draws."""
PATIENCE = timedelta(minutes=30)
"""How long the others wait for one of them, such as for the leader to save; one that died is noticed at once."""
DECISIONS = ("should_training_stop", "should_epoch_stop", "should_save", "should_evaluate")


class Ranks:
    """This process's membership.

    Args:
        meeting: a folder of this run's own on this host, where the members find each other.
        broken: raises TrainingError once another member has died; asked before its numbers are believed.

    Attributes:
        leads: this is rank 0.
    """

    def __init__(
        self, meeting: Path, rank: int, size: int, device: str, broken: Callable[[], None] = lambda: None
    ) -> None:
        self.rank = rank
        self.leads = rank == 0
        self.check = broken
        self._buckets: list[list[nn.Parameter]] = []
        # All are on this host. Asked for another interface, gloo would look the host's name up, which fails in many
        # containers.
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo",
            init_method=f"file://{meeting / 'group'}",
            rank=rank,
            world_size=size,
            timeout=PATIENCE,
        )

    def equalise(self, parameters: Sequence[nn.Parameter]) -> None:
        """Give all members the leader's weights; `parameters` are those whose gradients `add` adds up."""
        self._buckets = _buckets(parameters)
        with torch.no_grad():
            for parameter in parameters:
                distributed.broadcast(parameter.data, src=0)

    def draw_apart(self, seed: int) -> None:
        """Let the members' dropout differ, as it does between the rows of one process; the leader's stays as it is."""
        if not self.leads:
            torch.manual_seed(seed + STRIDE * self.rank)

    def add(self, losses: Tensor) -> Tensor:
        """Make each gradient the sum of all members'.

        Args:
            losses: of this member's micro-batches, (n,).

        Returns:
            (n + 1,): `losses`, and the sum of the others'.
        """
        self.check()
        for bucket in self._buckets:
            gradients = [_gradient(parameter) for parameter in bucket]
            if len(gradients) == 1:
                distributed.all_reduce(gradients[0])
                continue
            flat = _flatten_dense_tensors(gradients)
            distributed.all_reduce(flat)
            torch._foreach_copy_(gradients, list(_unflatten_dense_tensors(flat, gradients)))
        own = losses.sum()
        return torch.cat([losses, (self.total(own) - own)[None]])

    def total(self, value: Tensor) -> Tensor:
        """Return the sum of all members' values."""
        summed = value.clone()
        distributed.all_reduce(summed)
        return summed

    def agree(self, control: Any) -> None:
        """Bring the leader's decisions to all: `control` is transformers' TrainerControl."""
        told = torch.tensor([getattr(control, name) for name in DECISIONS], dtype=torch.int32)
        distributed.broadcast(told, src=0)
        for name, value in zip(DECISIONS, told.tolist(), strict=True):
            setattr(control, name, bool(value))

    def leave(self) -> None:
        """Part in good order, once all have trained to the end."""
        distributed.destroy_process_group()


def _gradient(parameter: nn.Parameter) -> Tensor:
    """Return the gradient; a member without a row in this step has zeros."""
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad


def _buckets(parameters: Sequence[nn.Parameter]) -> list[list[nn.Parameter]]:
    """Return `parameters` in their order, in lists of at most `BUCKET_BYTES`, or of one."""
    buckets: list[list[nn.Parameter]] = []
    held = BUCKET_BYTES
    for parameter in parameters:
        if held + parameter.nbytes > BUCKET_BYTES:
            buckets.append([])
            held = 0
        buckets[-1].append(parameter)
        held += parameter.nbytes
    return buckets

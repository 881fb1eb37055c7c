"""What the checks of the fast pieces share: where they run, in which precision, and how distance is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

LIMITS = {"bf16": 5e-2, "fp32": 2e-4}
TYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}
ITEMS = 100


@dataclass(frozen=True)
class Setting:
    """Where checks run, and in which precision."""

    device: torch.device
    precision: str

    @property
    def dtype(self) -> torch.dtype:
        return TYPES[self.precision]

    def random(self, *shape: int) -> Tensor:
        return torch.randn(*shape, device=self.device, dtype=self.dtype)


Check = Callable[[Setting], float]


def apart(fast: Iterable[Tensor], plain: Iterable[Tensor]) -> float:
    """Return the largest relative distance of pairs of tensors."""
    pairs = [(a.detach().double(), b.detach().double()) for a, b in zip(fast, plain, strict=True)]
    return max(float((a - b).norm() / b.norm().clamp_min(1e-30)) for a, b in pairs)

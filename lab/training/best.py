"""The best weights by validation loss, and how long none has been better. Called by `training.fit` and its callback."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file


class BestWeights:
    """A file with the trained weights at the lowest validation loss so far; a resume goes on from it.

    It stays as it is when a resume goes back behind its step: those weights were there, and this was their loss.

    Attributes:
        step, loss: where they were taken; step 0 and infinity while there are none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.step, self.loss = _mark(path)

    def offer(self, model: torch.nn.Module, step: int, loss: float) -> None:
        """Keep what trains of `model` as it is now if `loss` is lower than all before."""
        if not loss < self.loss:  # so that NaN is never the best
            return
        weights = {
            name: parameter.detach().to("cpu").contiguous()
            for name, parameter in model.named_parameters()
            if parameter.requires_grad
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_name(f".{self.path.name}.new")
        save_file(weights, fresh, metadata={"step": str(step), "loss": repr(loss)})
        fresh.replace(self.path)
        self.step, self.loss = step, loss

    @torch.no_grad()
    def restore(self, model: torch.nn.Module) -> None:
        """Give `model` the kept weights; without any it stays as it is."""
        if not self.step:
            return
        parameters = dict(model.named_parameters())
        with safe_open(self.path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118  no dict: it has keys() alone
                parameters[name].copy_(file.get_tensor(name))


def _mark(path: Path) -> tuple[int, float]:
    if not path.is_file():
        return 0, math.inf
    with safe_open(path, framework="pt") as file:
        found = file.metadata() or {}
    return int(found["step"]), float(found["loss"])


def waited(losses: Sequence[float]) -> int:
    """Return how many validation losses have come since the lowest one; NaN is never the lowest."""
    lowest = min((loss for loss in losses if not math.isnan(loss)), default=math.inf)
    return next((len(losses) - 1 - i for i, loss in enumerate(losses) if loss == lowest), len(losses))

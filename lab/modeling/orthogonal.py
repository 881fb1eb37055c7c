"""A LoRA that keeps away from what an earlier one learnt: the hybrid that study A proposes.

An update B A reads the input directions in the rows of A and writes the output directions in the columns of B. Both
are kept orthogonal to the earlier update's, at the beginning and after each optimiser step, by taking their share of
the earlier spans away: for the span's orthonormal basis Q (columns), A <- A - (A Q) Q^T and B <- B - Q (Q^T B). Then
tr(U^T V) = 0 for the two updates U, V, and neither reads or writes where the other does. Constraining the new adapter
to the complement follows O-LoRA (Wang et al. 2023), which adds a penalty on A alone; a projection needs no weight to
tune and holds exactly.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.errors import ProfileError
from lab.modeling.adapters import ADAPTER
from lab.modeling.artifact import ADAPTER_WEIGHTS, require_artifact

if TYPE_CHECKING:
    from torch import Tensor

RELATIVE = 1e-6  # singular values below this share of the largest are rounding


class Projection:
    """Keeps the trained adapter of `model` orthogonal to the adapter saved in `earlier`.

    Linears that only one of the two adapts are left alone: there the updates cannot meet.

    Args:
        model: a PeftModel with the adapter that trains.
        earlier: the folder of another run's artifact.

    Raises:
        NotFoundError: there is no artifact in `earlier`.
        ProfileError: it is no adapter, shares no linear with this one, or leaves no room beside it.
    """

    def __init__(self, model: Any, earlier: Path) -> None:
        from peft.tuners.lora import LoraLayer
        from safetensors.torch import load_file

        artifact = require_artifact(earlier)
        if artifact.kind != "adapter":
            raise ProfileError(
                f"{artifact.run} trained weights of the base, which have no low-rank update.",
                "Set method.orthogonal_to to a run of lora or qlora.",
            )
        saved = load_file(earlier / ADAPTER_WEIGHTS)
        self._pairs: list[tuple[Any, Tensor]] = []  # (parameter as (rank, width) or its transpose, basis)
        for name, module in model.named_modules():
            if isinstance(module, LoraLayer) and (down := saved.get(f"{name}.lora_A.weight")) is not None:
                self._add(module.lora_A[ADAPTER], "A", _basis(down.T), name)
                self._add(module.lora_B[ADAPTER], "B", _basis(saved[f"{name}.lora_B.weight"]), name)
        if not self._pairs:
            raise ProfileError(
                f"The adapters of this run and of {artifact.run} share no linear.",
                "Set method.target_modules so that they meet, or leave method.orthogonal_to empty.",
            )

    def _add(self, layer: Any, which: str, basis: Tensor, name: str) -> None:
        width = basis.shape[0]
        rank = layer.weight.shape[0 if which == "A" else 1]
        if rank + basis.shape[1] > width:
            raise ProfileError(
                f"{name} has {width} directions: too few for rank {rank} beside {basis.shape[1]} that are taken.",
                "Lower method.rank, or leave that linear out of method.target_modules.",
            )
        self._pairs.append(((layer, which), basis.to(layer.weight.device)))

    def project(self) -> None:
        """Take the earlier spans out of the adapter, in place; twice, as the first time leaves its own rounding."""
        import torch

        with torch.no_grad():
            for (layer, which), basis in self._pairs:
                weight = layer.weight
                for _ in range(2):
                    if which == "A":
                        weight -= (weight @ basis) @ basis.T
                    else:
                        weight -= basis @ (basis.T @ weight)

    def largest_cosine(self) -> float:
        """Return the cosine of the smallest angle between the two updates' spans over all linears; 0 is orthogonal."""
        import torch

        found = 0.0
        with torch.no_grad():
            for (layer, which), basis in self._pairs:
                own = _basis(layer.weight.T if which == "A" else layer.weight)
                if own.shape[1] and basis.shape[1]:
                    found = max(found, float(torch.linalg.matrix_norm(own.T @ basis, ord=2)))
        return found


def _basis(matrix: Tensor) -> Tensor:
    """Return an orthonormal basis, (width, k), of the span of the columns of `matrix` (width, n)."""
    import torch

    left, values, _ = torch.linalg.svd(matrix.detach().float(), full_matrices=False)
    kept = values > RELATIVE * values.max() if values.numel() and values.max() > 0 else torch.zeros_like(values).bool()
    return left[:, kept]

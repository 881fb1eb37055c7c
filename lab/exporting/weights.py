"""The weights of a trained run without its adapter's own matrices: base and changes as one, tensor by tensor.

Called by `merge` (safetensors) and `gguf` (GGUF), which write what comes. Arithmetic is fp32; the writer rounds once.
The steps are those of `lab.modeling.artifact.load_artifact`, which does the same to a whole model in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import LabError
from lab.exporting.base import BaseWeights
from lab.exporting.chain import Chain
from lab.exporting.deltas import Adapter, Trained
from lab.exporting.quantised import dequantised, quantised_names

if TYPE_CHECKING:
    from torch import Tensor

Progress = Callable[[str], None]


class MergedWeights:
    """The weights of a chain of runs over its base.

    Args:
        folder: the base model's files.
        base: "full" adds to the base as it was published; "dequantised" to the weights that the quantised base of the
            last run stands for.

    Attributes:
        shapes: of each tensor, in the order in which `read` gives them.

    Raises:
        LabError: a stage changes a weight that the base has not, or cannot be read.
    """

    def __init__(self, chain: Chain, folder: Path, base: str) -> None:
        self._chain = chain
        self._base = BaseWeights(folder)
        self._stages = [(artifact, _open(artifact.kind, artifact.files)) for artifact in chain.stages]
        self._quantised = quantised_names(chain) if base == "dequantised" else frozenset()
        self.shapes = dict(self._base.shapes)
        self._check()

    def read(self, progress: Progress = lambda line: None) -> Iterator[tuple[str, Tensor]]:
        """Yield each tensor: what nothing changed as it is stored, all others in fp32."""
        for number, (name, stored) in enumerate(self._base.read(), 1):
            if number % 10 == 1:
                progress(f"merging weight {number} of {len(self.shapes)}")
            yield name, self.changed(name, stored)

    def changed(self, name: str, stored: Tensor) -> Tensor:
        """Return what became of the base's weight `name` through all stages."""
        import torch

        if name not in self._quantised and not any(name in opened.names for _, opened in self._stages):
            return stored
        weight = self._settled(name, stored) if name in self._quantised else stored.to(torch.float32)
        pending: list[Adapter] = []
        for artifact, opened in self._stages:
            if artifact.earlier is not None and artifact.earlier.mode == "merge" and pending:
                weight, pending = self._settled(name, _updated(name, weight, pending)), []
            if isinstance(opened, Adapter):
                pending += [opened] if name in opened.names else []
            elif name in opened.names:
                weight = self._settled(name, opened.read(name))
        return _updated(name, weight, pending)

    def _settled(self, name: str, weight: Tensor) -> Tensor:
        """Return fp32 `weight` as the last run's model held it in memory: in its precision, packed where it packs."""
        import torch

        from lab.modeling.load import torch_dtype

        held = weight.to(torch_dtype(self._chain.dtype))
        if name in self._quantised:
            return dequantised(held, self._chain.quantization, double=self._chain.double_quant)
        return held.to(torch.float32)

    def _check(self) -> None:
        for _, opened in self._stages:
            missing = sorted(opened.names - self.shapes.keys())
            if missing:
                raise LabError(
                    f"Training changed {missing[0]}, which the base model's files do not hold.",
                    "A head that shares the embedding's weights cannot be merged: choose other target modules.",
                )


def _open(kind: str, files: tuple[Path, ...]) -> Adapter | Trained:
    return Adapter(files[0].parent) if kind == "adapter" else Trained(files)


def _updated(name: str, weight: Tensor, adapters: list[Adapter]) -> Tensor:
    """Return `weight` with the updates of `adapters`, each relative to the weight without any, as in a forward pass."""
    total = weight
    for adapter in adapters:
        total = total + adapter.update(name, weight)
    return total

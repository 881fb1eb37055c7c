"""What an adapter changes in each weight, in fp32. Called by `weights`; no model is built.

Formulas: LoRA W + s BA with s = alpha / r (Hu et al. 2021, arXiv 2106.09685), rank-stabilised s = alpha / sqrt(r)
(Kalajdzievski 2023, arXiv 2312.03732), DoRA m (W + s BA) / ||W + s BA|| by output row (Liu et al. 2024, arXiv
2402.09353). A PiSSA adapter is saved as the plain LoRA that it amounts to over the untouched base.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.errors import LabError, NotFoundError
from lab.runs.reader import read_json

if TYPE_CHECKING:
    from torch import Tensor

PREFIX = "base_model.model."
_PART = re.compile(r"(.+)\.(lora_A|lora_B|lora_magnitude_vector)(?:\.weight)?")


class Adapter:
    """One saved adapter; its matrices are read when they are asked for.

    Attributes:
        modules: the paths of the modules that it changes.
        names: of the weights that it changes.
    """

    def __init__(self, folder: Path) -> None:
        config = read_json(folder / "adapter_config.json")
        weights = folder / "adapter_model.safetensors"
        if config is None or not weights.is_file():
            raise NotFoundError(f"There is no adapter in {folder}.", "Finish or resume the run that makes it.")
        self.folder = folder
        self._config = config
        self._file = _opened(weights)
        self._parts: dict[str, dict[str, str]] = {}
        for key in self._file.keys():  # noqa: SIM118  a safetensors file, no dict
            self._place(key)
        self.names = frozenset(f"{module}.weight" for module in self._parts)

    @property
    def modules(self) -> frozenset[str]:
        return frozenset(self._parts)

    def update(self, name: str, weight: Tensor) -> Tensor:
        """Return what is added to the fp32 `weight` called `name`, one of `names`."""
        module = name.removesuffix(".weight")
        change = self.delta(module)
        if "lora_magnitude_vector" not in self._parts[module]:
            return change
        adapted = weight + change
        magnitude = self._read(self._parts[module]["lora_magnitude_vector"]).reshape(-1, 1)
        return magnitude / adapted.norm(dim=1, keepdim=True) * adapted - weight

    def delta(self, module: str) -> Tensor:
        """Return s BA of `module`, shape (out, in), fp32."""
        first, second = self.matrices(module)
        return second @ first * self.scale(module)

    def matrices(self, module: str) -> tuple[Tensor, Tensor]:
        """Return A (rank, in) and B (out, rank) in fp32."""
        parts = self._parts[module]
        return self._read(parts["lora_A"]), self._read(parts["lora_B"])

    def scale(self, module: str) -> float:
        """Return s, from the rank that the matrices truly have."""
        rank = self._file.get_slice(self._parts[module]["lora_A"]).get_shape()[0]
        alpha = _by_pattern(self._config.get("alpha_pattern") or {}, module, self._config["lora_alpha"])
        return float(alpha / (math.sqrt(rank) if self._config.get("use_rslora") else rank))

    @property
    def plain(self) -> bool:
        """Whether W + s BA is all it does."""
        return all(parts.keys() == {"lora_A", "lora_B"} for parts in self._parts.values())

    def _read(self, key: str) -> Tensor:
        import torch

        tensor: Tensor = self._file.get_tensor(key)
        return tensor.to(torch.float32)

    def _place(self, key: str) -> None:
        match = _PART.fullmatch(key.removeprefix(PREFIX))
        if match:
            self._parts.setdefault(match[1], {})[match[2]] = key
        else:
            raise LabError(f"The adapter holds {key}, which cannot be merged.", "Train it with method.variant = lora.")


class Trained:
    """Weights of the base that were trained themselves, by their own names."""

    def __init__(self, files: Iterable[Path]) -> None:
        opened = [_opened(path) for path in files]
        self._where = {name: file for file in opened for name in file.keys()}  # noqa: SIM118
        self.names = frozenset(self._where)

    def read(self, name: str) -> Tensor:
        """Return the weight in fp32."""
        import torch

        tensor: Tensor = self._where[name].get_tensor(name)
        return tensor.to(torch.float32)


def _opened(path: Path) -> Any:
    """Return a safetensors file, whose tensors are read one by one."""
    from safetensors import safe_open

    return safe_open(path, "pt")


def _by_pattern(patterns: Mapping[str, Any], module: str, default: Any) -> Any:
    """Return the value that PEFT uses for `module`: of the first pattern that its path ends in."""
    return next((value for key, value in patterns.items() if re.fullmatch(rf"(?:.*\.)?(?:{key})", module)), default)

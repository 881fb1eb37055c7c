"""The base model's weights, one tensor at a time. Called by `weights`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.errors import NotFoundError
from lab.exporting.tensorfile import INDEX, SINGLE

if TYPE_CHECKING:
    from torch import Tensor


class BaseWeights:
    """The safetensors files of a model folder.

    Attributes:
        shapes: of each tensor, in the order in which `read` gives them.
        stored: the types of the tensors, as safetensors calls them ("BF16").

    Raises:
        NotFoundError: the folder has no safetensors.
    """

    def __init__(self, folder: Path) -> None:
        self._where = _where(folder)
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.stored: set[str] = set()
        for _, name, part in self._slices():
            self.shapes[name] = tuple(part.get_shape())
            self.stored.add(part.get_dtype())

    def read(self) -> Iterator[tuple[str, Tensor]]:
        """Yield each tensor as it is stored."""
        for file, name, _ in self._slices():
            yield name, file.get_tensor(name)

    def _slices(self) -> Iterator[tuple[Any, str, Any]]:
        from safetensors import safe_open

        for path, names in self._where.items():
            with ExitStack() as stack:
                file = stack.enter_context(safe_open(path, "pt"))
                for name in names or list(file.keys()):
                    yield file, name, file.get_slice(name)


def _where(folder: Path) -> dict[Path, list[str]]:
    """Return the files with the names of their tensors; no names stand for all."""
    if (folder / INDEX).is_file():
        files: dict[Path, list[str]] = {}
        for name, file in json.loads((folder / INDEX).read_bytes())["weight_map"].items():
            files.setdefault(folder / file, []).append(name)
        return files
    if not (folder / SINGLE).is_file():
        raise NotFoundError(
            f"The base model in {folder} has no safetensors.",
            "Save it with `save_pretrained` and train on that folder.",
        )
    return {folder / SINGLE: []}

"""Safetensors files written one tensor at a time, so that memory holds one tensor and never a shard.

The library's own `save_file` wants all tensors of a file at once, twice. Format: eight bytes of header length, a JSON
header with dtype, shape and byte range of each tensor, the bytes (https://github.com/huggingface/safetensors#format).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab import atomic

if TYPE_CHECKING:
    from torch import Tensor

SHARD_BYTES = 4_000_000_000
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
SIZES = {"BF16": 2, "F16": 2, "F32": 4}
CODES = {"bf16": "BF16", "fp16": "F16", "fp32": "F32"}

Shapes = Mapping[str, tuple[int, ...]]


def plan(shapes: Shapes, dtype: str, limit: int = SHARD_BYTES) -> dict[str, list[str]]:
    """Return the tensors of each file, in the order given; a tensor larger than `limit` bytes gets one of its own."""
    shards: list[list[str]] = [[]]
    used = 0
    for name, shape in shapes.items():
        size = math.prod(shape) * SIZES[CODES[dtype]]
        if shards[-1] and used + size > limit:
            shards.append([])
            used = 0
        shards[-1].append(name)
        used += size
    if len(shards) == 1:
        return {SINGLE: shards[0]}
    return {f"model-{i:05}-of-{len(shards):05}.safetensors": names for i, names in enumerate(shards, 1)}


def write_model(
    folder: Path, shapes: Shapes, tensors: Iterable[tuple[str, Tensor]], dtype: str, limit: int = SHARD_BYTES
) -> None:
    """Write `tensors`, which come in the order of `shapes`, each rounded to `dtype` once, and their index."""
    files = plan(shapes, dtype, limit)
    source = iter(tensors)
    for file, names in files.items():
        write_file(folder / file, {name: shapes[name] for name in names}, source, dtype)
    if len(files) > 1:
        total = sum(math.prod(shape) for shape in shapes.values()) * SIZES[CODES[dtype]]
        index = {name: file for file, names in files.items() for name in names}
        atomic.write_json(folder / INDEX, {"metadata": {"total_size": total}, "weight_map": index})
        (folder / INDEX).chmod(0o644)


def write_file(path: Path, shapes: Shapes, tensors: Iterator[tuple[str, Tensor]], dtype: str) -> None:
    """Write one file with the next of `tensors`; they are those of `shapes`."""
    header = _header(shapes, dtype)
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for expected, shape in shapes.items():
            name, tensor = next(tensors)
            if name != expected or tuple(tensor.shape) != shape:
                raise ValueError(f"{name} {tuple(tensor.shape)} came instead of {expected} {shape}")
            file.write(as_bytes(tensor, dtype))


def as_bytes(tensor: Tensor, dtype: str) -> memoryview:
    """Return the tensor's bytes in `dtype`, little-endian as every machine that torch runs on."""
    import torch

    from lab.modeling.load import torch_dtype

    rounded = tensor.to(torch_dtype(dtype)).contiguous().reshape(-1)
    return memoryview(rounded.view(torch.uint8).numpy())


def _header(shapes: Shapes, dtype: str) -> bytes:
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    begin = 0
    for name, shape in shapes.items():
        end = begin + math.prod(shape) * SIZES[CODES[dtype]]
        entries[name] = {"dtype": CODES[dtype], "shape": list(shape), "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    return text + b" " * (-len(text) % 8)

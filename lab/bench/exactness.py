"""Whether attention over documents is exact on this device: `python -m lab.bench.exactness`.

Prints a JSON line for each shape: how far output and gradients of each kernel are from fp32 attention written out,
document by document, beside how far SDPA in the same precision is. A kernel may not be further off than twice SDPA.
On a GPU there are three: torch's own interface, the one with fewer key heads, and the lab's for short documents.
The last line says whether all are exact; exit status 1 where not.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lab.launching.child import Emit, serve
from lab.modeling.fast.documents import WIDEST, attend_documents, document_spans, sees_all
from lab.modeling.fast.flash import flash
from lab.modeling.fast.varlen import attend, attend_each

FACTOR = 2.0
"""How much further from fp32 than SDPA the kernel may be: both round their products to bf16, in orders of their own."""


@dataclass(frozen=True)
class Shape:
    """Heads of queries, heads of keys, their width, the window, and the documents' lengths (0: an empty one)."""

    name: str
    heads: int
    key_heads: int
    width: int
    window: int | None
    lengths: tuple[int, ...]


SHAPES = (
    Shape("llama-3.2-1b", 32, 8, 64, None, (87, 1, 512, 33, 300, 64, 0, 0)),
    Shape("one document", 32, 8, 64, None, (1536,)),
    Shape("smollm2-135m", 9, 3, 64, None, (87, 130, 17, 255)),
    Shape("gemma-3-1b, sliding", 4, 1, 256, 512, (1024, 700, 20)),
    Shape("gemma-3-1b, full", 4, 1, 256, None, (1024, 700, 20)),
    Shape("mistral, short window", 32, 8, 128, 64, (200, 63, 64, 65, 0)),
    Shape("qwen2.5-0.5b", 14, 2, 64, None, (90, 400, 7)),
)


def run(emit: Emit, device: str) -> bool:
    """Emit each shape's record; return whether all are exact."""
    exact = True
    for shape in SHAPES:
        record = check(shape, device)
        exact = exact and record["exact"]
        emit(record)
    name = torch.cuda.get_device_name() if device == "cuda" else device
    emit({"exact": exact, "device": name, "torch": torch.__version__})
    return exact


def check(shape: Shape, device: str) -> dict[str, Any]:
    """Return the largest error of output and gradients, relative to the largest value, of the kernels and of SDPA."""
    generator = torch.Generator(device=device).manual_seed(0)
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    tokens = sum(shape.lengths)
    sizes = [(tokens, heads, shape.width) for heads in (shape.heads, shape.key_heads, shape.key_heads)]
    inputs = [torch.randn(size, generator=generator, device=device, dtype=dtype) for size in sizes]
    weight = torch.randn(sizes[0], generator=generator, device=device, dtype=dtype)
    ends = torch.tensor([0, *shape.lengths], device=device).cumsum(0).to(torch.int32)
    options = (shape.width**-0.5, shape.window)
    exact = _pass([x.float() for x in inputs], weight.float(), lambda q, k, v: attend_each(q, k, v, ends, *options))
    plain = _pass(inputs, weight, lambda q, k, v: attend_each(q, k, v, ends, *options))
    theirs, names = list(_errors(plain, exact)), ("output", "query", "key", "value")
    record: dict[str, Any] = {"shape": shape.name, "sdpa": dict(zip(names, theirs, strict=True)), "exact": True}
    for kernel, attended in _kernels(shape, ends, device).items():
        ours = list(_errors(_pass(inputs, weight, attended), exact))
        record[kernel] = dict(zip(names, ours, strict=True))
        record["exact"] &= all(a <= max(FACTOR * b, 1e-6) for a, b in zip(ours, theirs, strict=True))
    return record


def _kernels(shape: Shape, ends: Tensor, device: str) -> dict[str, Any]:
    """Return what serves a shape on this device: functions of queries, keys and values."""
    longest, scale = max(shape.lengths), shape.width**-0.5
    found: dict[str, Any] = {"kernel": lambda q, k, v: attend(q, k, v, ends, longest, scale, shape.window)}
    if device == "cuda":
        found["grouped"] = lambda q, k, v: flash(q, k, v, ends, longest, scale, shape.window)
        if shape.width <= WIDEST and sees_all(shape.window, longest):
            spans = document_spans(ends, sum(shape.lengths))
            found["short"] = lambda q, k, v: attend_documents(q, k, v, spans, scale)
    return found


def _pass(inputs: list[Tensor], weight: Tensor, attended: Any) -> list[Tensor]:
    """Return the output and the gradients of the weighted sum of it."""
    leaves = [x.detach().requires_grad_() for x in inputs]
    output = attended(*leaves)
    return [output.detach(), *torch.autograd.grad((output * weight).sum(), leaves)]


def _errors(found: list[Tensor], exact: list[Tensor]) -> Iterator[float]:
    for ours, truth in zip(found, exact, strict=True):
        yield float((ours.float() - truth).abs().max() / truth.abs().max())


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="lab.bench.exactness", description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args(arguments)
    outcome: list[bool] = []
    return serve(lambda emit: outcome.append(run(emit, options.device))) or int(outcome != [True])


if __name__ == "__main__":
    sys.exit(main())

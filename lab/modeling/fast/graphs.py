"""Micro-steps as CUDA graphs: forward and backward launched as one, where launching kernels takes longer than they do.

A graph replays the very kernels of one shape on the very same memory. So batches should have few shapes
(`modeling.fast.step` sees to it), inputs are copied to where the graph reads them, and gradients are added where it
leaves them. The first batch of a shape runs as usual, which warms up what must not happen in a capture (compilation,
loading of kernels, workspaces). With the second its shape is captured, and replayed from then on: a capture takes as
long as some steps, and shapes that come once are not worth it. Without CUDA the same happens without a graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Inputs = dict[str, Any]
"""What a micro-step reads: tensors on the device, and numbers that are part of the shape."""
Run = Callable[[], None]

MOST_GRAPHS = 24
"""Shapes that get a graph; batches of further shapes run as usual."""


@dataclass
class _Shape:
    """The memory that batches of one shape are computed in, and how."""

    inputs: Inputs
    loss: Tensor
    replay: Run


class GraphedStep:
    """Adds the gradients of micro-batches to `.grad` of the parameters, as `backward` does.

    Whoever clears the gradients between optimiser steps sets them to None, as `zero_grad` does.

    Args:
        loss_of: from inputs to the loss, without ever asking the device for a number.
        parameters: what is trained; each takes part in the loss.
        capture: turns a run into what replays it; None takes a CUDA graph on a GPU and the run itself elsewhere.
    """

    def __init__(
        self,
        loss_of: Callable[[Inputs], Tensor],
        parameters: Sequence[nn.Parameter],
        capture: Callable[[Run], Run] | None = None,
    ) -> None:
        self.loss_of = loss_of
        self.parameters = list(parameters)
        self.capture = capture or (_Capture() if self.parameters[0].is_cuda else _keep)
        self.flat, self.gradients = _zeros_like(self.parameters)
        self.shapes: dict[tuple[Any, ...], _Shape] = {}
        self.seen: set[tuple[Any, ...]] = set()

    def __call__(self, inputs: Inputs) -> Tensor:
        """Return the loss, detached, and leave the gradients in `.grad`."""
        self._begin()
        key = _key(inputs)
        shape = self.shapes.get(key)
        if shape is None and (key not in self.seen or len(self.shapes) == MOST_GRAPHS):
            self.seen.add(key)
            return self._run(inputs)
        if shape is None:
            shape = self.shapes[key] = self._captured(inputs)
        for name, value in shape.inputs.items():
            if isinstance(value, Tensor):
                value.copy_(inputs[name], non_blocking=True)
        shape.replay()
        return shape.loss.clone()

    def release(self) -> None:
        """Give back the graphs and their memory."""
        self.shapes.clear()

    def _begin(self) -> None:
        """Start from zero where an optimiser step has cleared the gradients."""
        if self.parameters[0].grad is None:
            self.flat.zero_()
        for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
            parameter.grad = gradient

    def _run(self, inputs: Inputs) -> Tensor:
        loss = self.loss_of(inputs)
        found = torch.autograd.grad(loss, self.parameters)
        torch._foreach_add_(self.gradients, [gradient.to(torch.float32) for gradient in found])
        return loss.detach()

    def _captured(self, inputs: Inputs) -> _Shape:
        kept = {name: value.clone() if isinstance(value, Tensor) else value for name, value in inputs.items()}
        shape = _Shape(kept, torch.zeros((), device=self.parameters[0].device), lambda: None)
        shape.replay = self.capture(lambda: shape.loss.copy_(self._run(kept)))
        return shape


def _key(inputs: Inputs) -> tuple[Any, ...]:
    """Return what batches must share to be computed by the same graph."""
    shapes = ((name, tuple(v.shape) if isinstance(v, Tensor) else v) for name, v in sorted(inputs.items()))
    return tuple(shapes)


def _zeros_like(parameters: Sequence[nn.Parameter]) -> tuple[Tensor, list[Tensor]]:
    """Return one piece of memory and, as its parts, a gradient for each parameter."""
    sizes = [parameter.numel() for parameter in parameters]
    flat = torch.zeros(sum(sizes), dtype=torch.float32, device=parameters[0].device)
    return flat, [part.view(p.shape) for part, p in zip(flat.split(sizes), parameters, strict=True)]


def _keep(run: Run) -> Run:
    return run


class _Capture:
    """Captures runs as CUDA graphs that share their working memory: never two of them run at once."""

    def __init__(self) -> None:
        self.pool = torch.cuda.graph_pool_handle()
        self.stream = torch.cuda.Stream()

    def __call__(self, run: Run) -> Run:
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        # Other threads (pinning memory, telemetry) may go on calling CUDA meanwhile.
        with torch.cuda.graph(graph, pool=self.pool, stream=self.stream, capture_error_mode="thread_local"):
            run()
        return graph.replay

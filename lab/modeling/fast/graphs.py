"""Micro-steps as CUDA graphs: forward and backward launched as one, where launching kernels takes longer than they do.

A graph replays the very kernels of one shape on the very same memory. So batches should have few shapes
(`modeling.fast.step` sees to it), inputs are copied to where the graph reads them, and gradients are added where it
leaves them. The first batch of a shape runs without a graph, which warms up what must not happen in a capture
(compilation, loading of kernels). With the second its shape is captured, and replayed from then on: a capture takes as
long as some steps, and shapes that come once are not worth it. Without CUDA the same happens without a graph.

What graphs compute in is never given back while they live. So runs outside of graphs use the same memory: else a step
would take twice what it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

Inputs = dict[str, Any]
"""What a micro-step reads: tensors on the device, and numbers that are part of the shape."""
Run = Callable[[], None]

MOST_GRAPHS = 24
"""Shapes that get a graph; batches of further shapes run as usual."""
MANY_BYTES = 256 << 20
"""Gradients up to this are made all together and added by one kernel; more are added as each is made, which takes a
kernel each, and never lie there twice."""


SHORT = 0.1
"""Of the GPU's memory: a run that cannot be tried again begins with an emptied cache where less is free."""


class Launcher(Protocol):
    """How a run is launched."""

    def once(self, run: Run, *, again: bool) -> None:
        """Do `run` now; what it makes must be copied out of it.

        Args:
            again: it leaves nothing behind if it fails, and may be tried once more.
        """

    def capture(self, run: Run) -> Run:
        """Return what does `run` again, each time it is called."""


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
        launcher: None takes CUDA graphs on a GPU, and launches runs as they are elsewhere.
    """

    def __init__(
        self,
        loss_of: Callable[[Inputs], Tensor],
        parameters: Sequence[nn.Parameter],
        launcher: Launcher | None = None,
    ) -> None:
        self.loss_of = loss_of
        self.parameters = list(parameters)
        self.launcher = launcher or (_Graphs() if self.parameters[0].is_cuda else _Plain())
        self.flat, self.gradients = _zeros_like(self.parameters)
        self.together = self.flat.nbytes <= MANY_BYTES
        self.shapes: dict[tuple[Any, ...], _Shape] = {}
        self.seen: set[tuple[Any, ...]] = set()

    def __call__(self, inputs: Inputs) -> Tensor:
        """Return the loss, detached, and leave the gradients in `.grad`."""
        self._begin()
        key = _key(inputs)
        shape = self.shapes.get(key)
        if shape is None and (key not in self.seen or len(self.shapes) == MOST_GRAPHS):
            self.seen.add(key)
            loss = torch.zeros((), device=self.parameters[0].device)
            self.launcher.once(lambda: self._run(inputs, loss), again=self.together)
            return loss
        if shape is None:
            shape = self.shapes[key] = self._captured(inputs)
        for name, value in shape.inputs.items():
            if isinstance(value, Tensor):
                value.copy_(inputs[name], non_blocking=True)
        shape.replay()
        return shape.loss.clone()

    def forget(self) -> None:
        """Drop all graphs: no batch will have their shapes again."""
        self.shapes.clear()
        self.seen.clear()

    def _begin(self) -> None:
        """Start from zero where an optimiser step has cleared the gradients."""
        if self.parameters[0].grad is None:
            self.flat.zero_()
        for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
            parameter.grad = gradient

    def _run(self, inputs: Inputs, loss: Tensor) -> None:
        """Add the gradients up and put the loss into `loss`."""
        made = self.loss_of(inputs)
        if self.together:
            found = torch.autograd.grad(made, self.parameters)
            torch._foreach_add_(self.gradients, [gradient.to(torch.float32) for gradient in found])
        else:
            made.backward()  # into `.grad`, which `_begin` has put there
        loss.copy_(made.detach())

    def _captured(self, inputs: Inputs) -> _Shape:
        kept = {name: value.clone() if isinstance(value, Tensor) else value for name, value in inputs.items()}
        shape = _Shape(kept, torch.zeros((), device=self.parameters[0].device), lambda: None)
        shape.replay = self.launcher.capture(lambda: self._run(kept, shape.loss))
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


class _Plain:
    """Launches runs as they are."""

    def once(self, run: Run, *, again: bool) -> None:
        run()

    def capture(self, run: Run) -> Run:
        return run


class _Graphs:
    """Captures runs as CUDA graphs. All runs share their working memory and a stream: never two of them at once."""

    def __init__(self) -> None:
        self.pool = torch.cuda.MemPool()
        self.stream = torch.cuda.Stream()

    def once(self, run: Run, *, again: bool) -> None:
        if again and self._fits(run):
            return
        free, total = torch.cuda.mem_get_info()
        if again or free < SHORT * total:
            torch.cuda.empty_cache()  # what validation left: the pool could grow, had the allocator asked for it
        self._launch(run)

    def _fits(self, run: Run) -> bool:
        try:
            self._launch(run)
        except torch.OutOfMemoryError:
            return False
        return True

    def _launch(self, run: Run) -> None:
        caller = torch.cuda.current_stream()
        self.stream.wait_stream(caller)
        # On this thread alone: the pool serves no other, on which a backward pass would run else.
        with (
            torch.cuda.stream(self.stream),
            torch.cuda.use_mem_pool(self.pool),
            torch.autograd.set_multithreading_enabled(False),
        ):
            run()
        caller.wait_stream(self.stream)

    def capture(self, run: Run) -> Run:
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        # Other threads (pinning memory, telemetry) may go on calling CUDA meanwhile.
        with torch.cuda.graph(graph, pool=self.pool.id, stream=self.stream, capture_error_mode="thread_local"):
            run()
        return graph.replay

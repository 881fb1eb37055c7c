"""Whole micro-steps by the fast pieces against plain ones, on small random models. Called by `fastchecks`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from lab.bench.checking import ITEMS, Check, Setting, apart
from lab.bench.tinymodels import adapted, packed_rows, plain_model
from lab.modeling.fast.install import fused
from lab.modeling.fast.layers import liger_layers
from lab.modeling.fast.step import PackedStep
from lab.modeling.fast.varlen import attention
from lab.modeling.frozen import whole_weight
from lab.modeling.loss import packed_nll
from lab.modeling.methods import METHODS, cast_trainable
from lab.profile.schema import Method


def check_steps(
    family: str,
    quantised: str = "",
    *,
    dora: bool = False,
    graph: bool = False,
    recomputed: bool = False,
    blocks: bool = False,
    short: bool = False,
) -> Check:
    """Return a check of whole micro-steps with fused projections: losses and the gradients of all adapters."""

    def check(at: Setting) -> float:
        model = adapted(family, at.device, at.dtype, quantised=quantised, dora=dora)
        if quantised == "int8":
            _keep_activations(model, at.dtype)
        if recomputed:
            model.get_base_model().activation_checkpointing_enable(
                {"use_reentrant": False, "preserve_rng_state": False}
            )
            model.enable_input_require_grads()
        return _steps_apart(model, at, graph=graph, blocks=blocks, short=short)

    return check


def check_whole_weights(family: str, *, layers: int = 0, graph: bool = False, short: bool = False) -> Check:
    """Return a check of micro-steps that train weights of the model itself: all of them, or the last `layers` blocks.

    On a GPU the fast steps go by Liger's kernels too, as they do in a run.
    """

    def check(at: Setting) -> float:
        method = Method(kind="top-layer", layers=layers) if layers else Method(kind="full")
        model = METHODS[method.kind](plain_model(family, at.device, at.dtype).train(), method, 0)
        cast_trainable(model, torch.float32)
        trained = [p for p in model.parameters() if p.requires_grad]
        with attention(model, "varlen"):
            plain = [_plain(model, trained, batch, at) for batch in _batches(at)]
            with contextlib.ExitStack() as stack:
                if at.device.type == "cuda":
                    stack.enter_context(liger_layers(model))
                step = PackedStep(model, trained, graph=graph, precision=partial(_autocast, at), short=short)
                found = _compare(step, trained, plain, at)
                step.release()
        return found

    return check


def _autocast(at: Setting) -> torch.autocast:
    enabled = at.precision == "bf16"
    return torch.autocast(at.device.type, dtype=torch.bfloat16, enabled=enabled, cache_enabled=False)


def _keep_activations(model: Any, dtype: torch.dtype) -> None:
    """Let 8-bit linears compute by what their weights stand for: on a GPU LLM.int8() rounds what it multiplies too."""
    for module in model.modules():
        if type(module).__name__ == "Linear8bitLt" and hasattr(module, "state"):
            module.forward = partial(functional.linear, weight=whole_weight(module, dtype))


def _steps_apart(model: Any, at: Setting, *, graph: bool, blocks: bool, short: bool) -> float:
    """Return how far fast steps are from plain ones."""
    causal, trained = model.get_base_model(), [p for p in model.parameters() if p.requires_grad]
    with attention(causal, "varlen"):
        plain = [_plain(model, trained, batch, at) for batch in _batches(at)]
        with fused(model, blocks=blocks) as installed:
            if not installed.whole or (blocks and not installed.blocks):
                raise AssertionError(f"left to PEFT: {installed.left}; blocks: {installed.blocks}")
            step = PackedStep(causal, trained, graph=graph, short=short)
            found = _compare(step, trained, plain, at)
            step.release()
    return found


def _batches(at: Setting) -> list[dict[str, Any]]:
    """Return batches of two shapes in turn."""
    return [packed_rows(seed, multiple=128, device=at.device) for seed in (0, 1, 10, 2, 11, 0)]


def _compare(
    step: PackedStep, trained: Sequence[Tensor], plain: Sequence[tuple[Tensor, list[Tensor]]], at: Setting
) -> float:
    """Return how far `step` is from the plain losses and gradients of `_batches`, each taken twice and added up."""
    found = []
    for batch, (loss, gradients) in zip(_batches(at), plain, strict=True):
        for parameter in trained:
            parameter.grad = None
        losses = [step(batch, ITEMS), step(batch, ITEMS)]
        halves = [p.grad / 2 for p in trained if p.grad is not None]
        found += [apart(losses, [loss, loss]), apart([_flat(halves)], [_flat(gradients)])]
    return max(found)


def _plain(model: Any, trained: Sequence[Tensor], batch: dict[str, Any], at: Setting) -> tuple[Tensor, list[Tensor]]:
    with _autocast(at):
        loss = packed_nll(model, batch).sum() / ITEMS
    return loss.detach(), list(torch.autograd.grad(loss, trained))


def _flat(tensors: Iterable[Tensor]) -> Tensor:
    return torch.cat([tensor.reshape(-1).float() for tensor in tensors])

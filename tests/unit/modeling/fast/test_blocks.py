"""Fused blocks: that they run, what they keep, what recomputing leaves out. Their results: `lab.bench.fastchecks`."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from lab.bench.tinymodels import LAYERS, WIDTH, adapted, packed_rows
from lab.modeling.fast import blocks, install
from lab.modeling.fast.install import fused
from lab.modeling.fast.step import packed_loss, step_inputs
from lab.modeling.fast.varlen import attention

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # PEFT calls what transformers has renamed
CPU = torch.device("cpu")


def counted(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[str]:
    calls: list[str] = []
    original = getattr(module, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return original(*args, **kwargs)

    monkeypatch.setattr(module, name, call)
    return calls


def kept_rows(model: Any, *, blocked: bool) -> int:
    """Return how many activations of the width of the model a packed forward pass keeps, each storage once."""
    held: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        held[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    causal, batch = model.get_base_model(), packed_rows(0, multiple=128, device=CPU)
    with attention(causal, "varlen"), fused(model, blocks=blocked):
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            loss = packed_loss(causal, step_inputs(batch, 100))
        loss.backward()
    return sum(tensor.untyped_storage().nbytes() == batch["input_ids"].numel() * WIDTH * 4 for tensor in held.values())


def test_blocks_keep_the_residual_stream_and_no_normed_rows() -> None:
    model = adapted("llama", CPU, torch.float32)
    # What came into each half of a block, the queries, and what attention made; and the input of the last norm.
    assert kept_rows(model, blocked=True) == 4 * LAYERS + 1
    # Besides two normed ones a block; what comes into the first is not kept, for nothing before it learns.
    assert kept_rows(model, blocked=False) == 5 * LAYERS


@pytest.mark.parametrize("recomputed", [False, True])
def test_every_block_runs_and_recomputing_leaves_its_last_product_out(
    monkeypatch: pytest.MonkeyPatch, recomputed: bool
) -> None:
    model = adapted("llama", CPU, torch.float32)
    if recomputed:
        model.get_base_model().activation_checkpointing_enable({"use_reentrant": False})
    runs, last = counted(monkeypatch, install, "run_block"), counted(monkeypatch, blocks, "gated")
    causal, batch = model.get_base_model(), packed_rows(0, multiple=128, device=CPU)
    with attention(causal, "varlen"), fused(model, blocks=True):
        packed_loss(causal, step_inputs(batch, 100)).backward()
    assert len(runs) == (2 if recomputed else 1) * LAYERS
    assert len(last) == LAYERS


def test_what_is_not_packed_or_not_asked_for_goes_another_way(monkeypatch: pytest.MonkeyPatch) -> None:
    model, runs = adapted("llama", CPU, torch.float32), counted(monkeypatch, install, "run_block")
    ids = torch.arange(3, 13)[None]
    plain = model(ids).logits
    with fused(model, blocks=True) as installed:
        assert installed.blocks == LAYERS
        assert torch.allclose(model(ids).logits, plain, atol=1e-5)
    with fused(model) as installed:
        assert installed.blocks == 0
    assert not runs


@pytest.mark.parametrize("family", ["qwen3", "gemma3"])
def test_other_families_keep_their_own_blocks(family: str) -> None:
    with fused(adapted(family, CPU, torch.float32), blocks=True) as installed:
        assert installed.whole
        assert installed.blocks == 0

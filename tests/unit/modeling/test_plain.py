"""One plain model out of base and adapter: the same logits, nothing packed, one precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from lab.modeling.adapters import add_lora
from lab.modeling.merge import full_weight
from lab.modeling.plain import as_plain
from lab.profile.schema import Method
from tests.fixtures.tiny_llama import save_tiny_llama
from tests.fixtures.tiny_model import PEFT_ASKS, base, logits, train

pytestmark = pytest.mark.filterwarnings(PEFT_ASKS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_llama(tmp_path_factory.mktemp("model"))


def tuned(folder: Path, quantization: str, **keys: Any) -> Any:
    model = add_lora(base(folder, quantization), Method(rank=4, **keys), 0)
    train(model)
    return model


@pytest.mark.parametrize("variant", ["lora", "dora"])
@pytest.mark.parametrize("quantization", ["none", "nf4"])
def test_the_plain_model_says_what_the_tuned_one_says(folder: Path, quantization: str, variant: str) -> None:
    model = tuned(folder, quantization, variant=variant)
    before = logits(model)
    plain = as_plain(model, torch.float32)
    apart = (logits(plain) - before).abs().max()
    assert apart < 1e-4
    assert (logits(base(folder, quantization)) - before).abs().max() > 100 * apart  # it was trained on


def test_nothing_packed_is_left_where_only_some_linears_have_an_adapter(folder: Path) -> None:
    model = tuned(folder, "nf4", target_modules=["q_proj"])
    gate = full_weight(model.get_base_model().model.layers[0].mlp.gate_proj)
    plain = as_plain(model, torch.bfloat16)
    assert {p.dtype for p in plain.parameters()} == {torch.bfloat16}
    assert all(p.ndim == 1 or p.shape[1] > 1 for p in plain.parameters())
    assert torch.equal(plain.model.layers[0].mlp.gate_proj.weight, gate.bfloat16())
    assert plain.model.rotary_emb.inv_freq.dtype == torch.float32


def test_a_base_without_adapter_is_unpacked_and_cast(folder: Path) -> None:
    plain = as_plain(base(folder, "nf4"), torch.float32)
    assert {p.dtype for p in plain.parameters()} == {torch.float32}
    assert (logits(plain) - logits(base(folder, "nf4"))).abs().max() < 1e-4

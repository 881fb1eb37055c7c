"""What Liger changes in a model is undone when training ends. Liger needs a GPU: a stand-in patches as it does."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.models.llama import modeling_llama

from lab.modeling.fast.layers import liger_layers, liger_obstacle


def patch(model: Any, **options: bool) -> None:
    """Do to a model, its modules and its family what Liger does."""
    assert options == {"cross_entropy": False, "fused_linear_cross_entropy": False}
    modeling_llama.apply_rotary_pos_emb = None
    modeling_llama.LlamaMLP = None
    for layer in model.model.layers:
        norm = layer.input_layernorm
        norm.variance_epsilon, norm.offset = 1e-6, 0.0
        norm.__dict__["forward"] = types.MethodType(lambda self, states: states * 0, norm)


@pytest.fixture
def liger(monkeypatch: pytest.MonkeyPatch) -> None:
    package, patching = types.ModuleType("liger_kernel.transformers"), types.ModuleType("monkey_patch")
    package._apply_liger_kernel_to_instance = patch  # type: ignore[attr-defined]
    patching.MODEL_TYPE_TO_APPLY_LIGER_FN = {"llama": patch}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "liger_kernel", types.ModuleType("liger_kernel"))
    monkeypatch.setitem(sys.modules, "liger_kernel.transformers", package)
    monkeypatch.setitem(sys.modules, "liger_kernel.transformers.monkey_patch", patching)


@pytest.mark.usefixtures("liger")
def test_everything_is_put_back() -> None:
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        "llama", hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, vocab_size=32
    )
    model = AutoModelForCausalLM.from_config(config)
    rotary, mlp = modeling_llama.apply_rotary_pos_emb, modeling_llama.LlamaMLP
    ids = torch.tensor([[3, 4, 5]])
    before = [(module, dict(vars(module))) for module in model.modules()]
    expected = model(ids).logits
    with liger_layers(model):
        assert modeling_llama.apply_rotary_pos_emb is None
        assert "forward" in vars(model.model.layers[0].input_layernorm)
    assert modeling_llama.apply_rotary_pos_emb is rotary
    assert modeling_llama.LlamaMLP is mlp
    assert torch.equal(model(ids).logits, expected)
    for module, attributes in before:
        assert vars(module).keys() == attributes.keys()


@pytest.mark.usefixtures("liger")
def test_families_without_kernels_are_told() -> None:
    assert liger_obstacle(AutoConfig.for_model("llama")) == ""
    assert "no kernels" in liger_obstacle(AutoConfig.for_model("mamba"))
    assert "no kernels" in liger_obstacle(None)

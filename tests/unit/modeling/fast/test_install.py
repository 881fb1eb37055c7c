"""Fused projections in a model: what is taken, what is left and why, and that nothing stays behind."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from lab.bench.tinymodels import adapted, config_of
from lab.modeling.fast.install import fused

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # PEFT calls what transformers has renamed
CPU = torch.device("cpu")


def with_adapters(family: str = "llama", **options: Any) -> Any:
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_config(config_of(family, 64)).requires_grad_(False)
    settings = {"r": 4, "target_modules": "all-linear", "task_type": "CAUSAL_LM"} | options
    return get_peft_model(base, LoraConfig(**settings)).train()


def replaced(model: nn.Module) -> list[str]:
    return [name for name, module in model.named_modules() if "forward" in vars(module)]


def test_all_of_a_llama_is_taken_and_given_back() -> None:
    model = adapted("llama", CPU, torch.float32)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with fused(model) as installed:
        assert (installed.attentions, installed.mlps, installed.single, installed.norms) == (2, 2, 2, 5)
        assert installed.whole
        assert replaced(model)
        assert list(model.state_dict()) == list(before)
    assert not replaced(model)
    after = model.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    pointers = [p.untyped_storage().data_ptr() for name, p in model.named_parameters() if "base_layer" in name]
    assert len(set(pointers)) == len(pointers)  # no two weights share memory any more: files hold each once


def test_weights_are_given_back_when_training_fails() -> None:
    model = adapted("llama", CPU, torch.float32)
    with pytest.raises(KeyError), fused(model):
        raise KeyError
    assert not replaced(model)


@pytest.mark.parametrize(
    ("options", "why", "count"),
    [
        ({"lora_dropout": 0.1}, "dropout", 14),
        ({"family": "qwen2", "lora_bias": True, "target_modules": ["q_proj"]}, "more than two matrices", 2),
    ],
)
def test_what_cannot_be_fused_is_left_with_the_reason(options: dict[str, Any], why: str, count: int) -> None:
    with fused(with_adapters(**options)) as installed:
        assert not installed.whole
        assert why in next(iter(installed.left))
        assert sum(installed.left.values()) == count
        assert installed.attentions == installed.mlps == installed.single == 0


def test_a_disabled_adapter_is_left() -> None:
    model = with_adapters()
    with model.disable_adapter(), fused(model) as installed:
        assert not installed.whole


def test_some_projections_alone_are_fused_one_by_one() -> None:
    model = with_adapters(target_modules=["q_proj", "v_proj"])
    ids = torch.arange(3, 13)[None]
    plain = model(ids).logits
    with fused(model) as installed:
        assert (installed.attentions, installed.single) == (0, 4)
        assert torch.allclose(model(ids).logits, plain, atol=1e-5)


def test_different_ranks_of_gate_and_up_stay_apart() -> None:
    model = with_adapters(rank_pattern={"gate_proj": 2})
    ids = torch.arange(3, 13)[None]
    plain = model(ids).logits
    with fused(model) as installed:
        assert (installed.mlps, installed.single) == (0, 8)
        assert torch.allclose(model(ids).logits, plain, atol=1e-5)


@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_answers_are_the_same_while_it_is_installed(family: str) -> None:
    model = adapted(family, CPU, torch.float32).eval()
    ids = torch.randint(3, 500, (2, 12), generator=torch.Generator().manual_seed(5))
    options = {"max_new_tokens": 8, "do_sample": False, "attention_mask": torch.ones_like(ids)}
    plain = model.generate(ids, **options)
    with fused(model):
        assert torch.equal(model.generate(ids, **options), plain)

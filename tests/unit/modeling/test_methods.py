"""Which weights train under each method, and what a refusal says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.errors import ProfileError
from lab.modeling.adapters import attach_adapter
from lab.modeling.load import parameter_count, trainable_count
from lab.modeling.methods import METHODS, cast_adapter, head_is_tied
from lab.profile.schema import Method
from tests.fixtures.tiny_llama import save_tiny_llama
from tests.fixtures.tiny_model import PEFT_ASKS, base, logits, train

pytestmark = pytest.mark.filterwarnings(PEFT_ASKS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_llama(tmp_path_factory.mktemp("tiny") / "model")


def trained(model: Any) -> set[str]:
    return {name for name, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize(
    ("layers", "head", "outside"),
    [(1, False, set()), (2, False, set()), (1, True, {"model.embed_tokens.weight"})],
)
def test_top_layer_trains_the_last_blocks(folder: Path, layers: int, head: bool, outside: set[str]) -> None:
    model = METHODS["top-layer"](base(folder), Method(kind="top-layer", layers=layers, head=head), 0)
    blocks = tuple(f"model.layers.{index}." for index in range(2 - layers, 2))
    assert trained(model) == {n for n, _ in model.named_parameters() if n.startswith(blocks)} | outside
    assert head_is_tied(model)


def test_full_trains_all_and_the_loss_falls(folder: Path) -> None:
    model = METHODS["full"](base(folder), Method(kind="full"), 0)
    assert trainable_count(model) == parameter_count(model)
    losses = train(model)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
@pytest.mark.parametrize("kind", ["top-layer", "full"])
def test_packed_weights_are_not_trained(folder: Path, kind: Any, quantization: str) -> None:
    with pytest.raises(ProfileError, match="cannot train packed weights"):
        METHODS[kind](base(folder, quantization), Method(kind=kind), 0)


def test_too_many_blocks(folder: Path) -> None:
    with pytest.raises(ProfileError, match=r"method.layers = 3, and the model has 2 blocks"):
        METHODS["top-layer"](base(folder), Method(kind="top-layer", layers=3), 0)


@pytest.mark.parametrize(
    ("targets", "per_layer"),
    [
        ("all-linear", {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}),
        ("attention", {"q_proj", "k_proj", "v_proj", "o_proj"}),
        ("mlp", {"gate_proj", "up_proj", "down_proj"}),
        (["q_proj", "v_proj"], {"q_proj", "v_proj"}),
    ],
)
def test_targets_by_name(folder: Path, targets: Any, per_layer: set[str]) -> None:
    model = METHODS["lora"](base(folder), Method(rank=2, target_modules=targets), 0)
    assert {name.split(".lora_")[0].rpartition(".")[2] for name in trained(model)} == per_layer


def test_targets_where_projections_are_fused() -> None:
    from transformers import AutoModelForCausalLM, Phi3Config

    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4}
    model = AutoModelForCausalLM.from_config(Phi3Config(**sizes, vocab_size=64, pad_token_id=0))
    model = METHODS["lora"](model, Method(rank=2, target_modules="attention"), 0)
    names = {name.split(".lora_")[0].rpartition(".")[2] for name in trained(model)}
    assert names == {"qkv_proj", "o_proj"}


def test_unknown_targets_are_refused_with_those_that_exist(folder: Path) -> None:
    with pytest.raises(ProfileError, match=r"no module \['w_pack'\].*gate_proj, k_proj"):
        METHODS["lora"](base(folder), Method(target_modules=["q_proj", "w_pack"]), 0)


@pytest.mark.parametrize("variant", ["lora", "dora", "rslora"])
@pytest.mark.parametrize("quantization", ["none", "nf4", "int8"])
def test_an_adapter_begins_as_the_base_and_learns(folder: Path, variant: Any, quantization: str) -> None:
    method = Method(rank=4, variant=variant)
    if (variant, quantization) == ("dora", "int8"):
        with pytest.raises(ProfileError, match="over an int8 base needs a GPU"):
            METHODS["qlora"](base(folder, quantization), method, 0)
        return
    plain = logits(base(folder, quantization))
    model = METHODS["lora"](base(folder, quantization), method, 0)
    assert (logits(model.eval()) - plain).abs().max() < 1e-5
    losses = train(model, steps=6)
    assert losses[-1] < losses[0] - 0.05
    assert any("magnitude" in name for name in trained(model)) == (variant == "dora")


def test_a_saved_dora_is_not_put_over_int8_on_a_cpu(folder: Path, tmp_path: Path) -> None:
    METHODS["lora"](base(folder), Method(rank=4, variant="dora"), 0).save_pretrained(tmp_path / "adapter")
    with pytest.raises(ProfileError, match="over an int8 base needs a GPU"):
        attach_adapter(base(folder, "int8"), tmp_path / "adapter")
    assert logits(attach_adapter(base(folder, "nf4"), tmp_path / "adapter").eval()).isfinite().all()


def test_what_trained_is_cast_for_answers(folder: Path) -> None:
    import torch

    model = METHODS["top-layer"](base(folder), Method(kind="top-layer"), 0)
    cast_adapter(model, torch.bfloat16)
    types = {name: p.dtype for name, p in model.named_parameters()}
    assert {t for n, t in types.items() if "layers.1" in n} == {torch.bfloat16}
    assert {t for n, t in types.items() if "layers.1" not in n} == {torch.float32}

"""Merging: exact over plain weights, one rounding over packed ones; and the adapter that keeps its distance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.errors import ProfileError
from lab.modeling.artifact import load_artifact, load_beneath, save_artifact
from lab.modeling.merge import full_weight, logit_difference, merge_adapters, set_weight, update
from lab.modeling.methods import METHODS
from lab.modeling.orthogonal import Projection
from lab.profile.schema import Method
from tests.fixtures.tiny_llama import save_tiny_llama
from tests.fixtures.tiny_model import PEFT_ASKS, base, logits, train

pytestmark = pytest.mark.filterwarnings(PEFT_ASKS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_llama(tmp_path_factory.mktemp("tiny") / "model")


def adapted(folder: Path, quantization: str = "none", **more: Any) -> Any:
    model = METHODS["lora"](base(folder, quantization), Method(rank=4, **more), 1)
    train(model)
    return model


@pytest.mark.parametrize("variant", ["lora", "rslora", "dora"])
def test_over_plain_weights_nothing_changes(folder: Path, variant: Any) -> None:
    model = adapted(folder, variant=variant)
    want = logits(model)
    merged = merge_adapters(model)
    assert (logits(merged) - want).abs().max() < 1e-5
    assert not any("lora" in name for name, _ in merged.named_parameters())
    assert merge_adapters(merged) is merged


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_packed_weights_are_unpacked_and_packed_once(folder: Path, quantization: str) -> None:
    """The merged weight is the one nearest to W + s B A that the format holds: packing that sum gives it."""
    model = adapted(folder, quantization)
    module = model.get_base_model().model.layers[0].self_attn.q_proj
    weight = full_weight(module.base_layer)
    target = weight + update(module, "default", weight)
    other = base(folder, quantization)
    set_weight(other.model.layers[0].self_attn.q_proj, target.detach())
    want = full_weight(other.model.layers[0].self_attn.q_proj)
    before = logits(model)
    merged = merge_adapters(model)
    got = full_weight(merged.model.layers[0].self_attn.q_proj)
    assert (got == want).all()
    assert (got - target).abs().max() < (0.3 if quantization == "nf4" else 0.02) * target.abs().max()
    apart = logit_difference([before], [logits(merged)])
    assert 0 < apart["mean"] < apart["max"] < 0.5
    assert apart["positions"] == len(before)


def test_logit_difference_counts_positions() -> None:
    import torch

    one = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    found = logit_difference([one], [one + torch.tensor([[0.0, 2.0], [0.0, 0.0]])])
    assert (found["positions"], found["mean"], found["max"], found["same_best"]) == (2, 0.5, 2.0, 0.5)


def saved(model: Any, place: Path) -> Path:
    save_artifact(model, place, run="one", step=1, base="tiny")
    return place


@pytest.mark.parametrize("beginning", ["merge", "stack"])
@pytest.mark.parametrize("quantization", ["none", "nf4"])
def test_the_second_adapter_stays_orthogonal_and_learns(
    folder: Path, tmp_path: Path, quantization: str, beginning: str
) -> None:
    place = saved(adapted(folder, quantization), tmp_path / "adapter")
    ground = load_beneath(base(folder), place)
    if beginning == "merge":
        ground = merge_adapters(ground)
    model = METHODS["lora"](ground, Method(rank=4), 2)
    projection = Projection(model, place)
    assert projection.largest_cosine() > 0.1, "a random adapter is not orthogonal by itself"
    projection.project()
    losses = train(model, steps=8, after_step=projection.project)
    assert losses[-1] < losses[0] - 0.05
    assert projection.largest_cosine() < 1e-3
    first = load_artifact(base(folder), place).get_base_model().model.layers[1].mlp.up_proj
    second = model.get_base_model().model.layers[1].mlp.up_proj
    one = first.lora_B["default"].weight @ first.lora_A["default"].weight
    two = second.lora_B["default"].weight @ second.lora_A["default"].weight
    assert two.norm() > 1e-3
    for product in (one @ two.T, one.T @ two):
        assert product.norm() < 1e-3 * one.norm() * two.norm(), "neither directions read nor written are shared"


def test_without_projection_the_updates_meet(folder: Path, tmp_path: Path) -> None:
    place = saved(adapted(folder), tmp_path / "adapter")
    model = METHODS["lora"](merge_adapters(load_beneath(base(folder), place)), Method(rank=4), 2)
    projection = Projection(model, place)
    projection.project()
    train(model, steps=8)
    assert projection.largest_cosine() > 1e-2


def test_what_cannot_be_orthogonal_is_refused(folder: Path, tmp_path: Path) -> None:
    weights = METHODS["top-layer"](base(folder), Method(kind="top-layer"), 1)
    place = saved(weights, tmp_path / "weights")
    with pytest.raises(ProfileError, match="have no low-rank update"):
        Projection(METHODS["lora"](base(folder), Method(rank=4), 2), place)
    mlp = saved(adapted(folder, target_modules="mlp"), tmp_path / "mlp")
    with pytest.raises(ProfileError, match="share no linear"):
        Projection(METHODS["lora"](base(folder), Method(rank=4, target_modules="attention"), 2), mlp)
    with pytest.raises(ProfileError, match="too few for rank 62 beside 4"):
        Projection(METHODS["lora"](base(folder), Method(rank=62), 2), mlp)

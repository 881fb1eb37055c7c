"""Shapes by name, and the trainable shares that study B reports: by formula, and as the methods make them."""

from __future__ import annotations

from typing import Any

import pytest

from lab.errors import UsageError
from lab.profile.schema import Method
from lab.series.families import shape_from_config
from lab.series.known import KNOWN, known_config
from lab.series.shapes import ModelShape, adapter_parameters, parameter_counts, trained_parameters
from tests.fixtures.tiny_model import PEFT_ASKS

PUBLISHED = {
    "HuggingFaceTB/SmolLM2-135M-Instruct": 134_515_008,
    "bundled:smollm2-135m-instruct": 134_515_008,
    "meta-llama/Llama-3.2-1B": 1_235_814_400,
    "meta-llama/Llama-3.2-3B-Instruct": 3_212_749_824,
    "meta-llama/Meta-Llama-3-8B": 8_030_261_248,
    "google/gemma-3-1b-it": 999_885_952,
    "google/gemma-2-2b": 2_614_341_888,
    "mistralai/Mistral-7B-v0.3": 7_248_023_552,
    "Qwen/Qwen2.5-3B-Instruct": 3_085_938_688,
    "Qwen/Qwen2.5-7B-Instruct": 7_615_616_512,
    "microsoft/Phi-3-mini-4k-instruct": 3_821_079_552,
}


def known_shape(name: str) -> ModelShape:
    config = known_config(name)
    assert config is not None
    return shape_from_config(config)


@pytest.mark.parametrize(("name", "total"), PUBLISHED.items())
def test_known_by_name(name: str, total: int) -> None:
    shape = known_shape(name)
    assert parameter_counts(shape).total == total


@pytest.mark.parametrize("name", ["", "llama", "meta-llama/Llama-3.2-11B-Vision", "Llama-3.2-1Bx", "gpt2", "owner/"])
def test_unknown_names(name: str) -> None:
    assert known_config(name) is None


# name, method, published share in percent
STUDY_B = [
    ("meta-llama/Llama-3.2-1B", {"rank": 8, "target_modules": ["q_proj", "v_proj"]}, 0.069),
    ("meta-llama/Llama-3.2-3B", {"rank": 32, "target_modules": ["q_proj", "v_proj"]}, 0.285),
    ("mistralai/Mistral-7B-v0.3", {"rank": 8, "target_modules": ["q_proj", "v_proj"]}, 0.047),
    ("meta-llama/Llama-3.2-1B", {"kind": "top-layer", "layers": 1}, 4.92),
    ("meta-llama/Llama-3.2-3B", {"kind": "top-layer", "layers": 6, "head": True}, 31.10),
    ("mistralai/Mistral-7B-v0.3", {"kind": "top-layer", "layers": 2, "head": True}, 7.87),
]


def on_meta(name: str) -> Any:
    """Return the model of that shape without weights."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = dict(known_config(name) or {})
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(AutoConfig.for_model(sizes.pop("model_type"), **sizes))


def by_formula(shape: ModelShape, method: Method) -> int:
    return trained_parameters(
        shape,
        method.kind,
        rank=method.rank,
        targets=method.target_modules,
        dora=method.variant == "dora",
        layers=method.layers,
        head=method.head,
    )


@pytest.mark.filterwarnings(PEFT_ASKS)
@pytest.mark.parametrize(("name", "values", "share"), STUDY_B)
def test_shares_of_study_b(name: str, values: dict[str, Any], share: float) -> None:
    """On the true shapes, within 0.05 points of what the study reports; the formula agrees with the methods exactly."""
    from lab.modeling.load import parameter_count, trainable_count
    from lab.modeling.methods import METHODS

    method, shape = Method(**values), known_shape(name)
    model = METHODS[method.kind](on_meta(name), method, 0)
    trained = trainable_count(model)
    assert 100 * trained / parameter_count(model) == pytest.approx(share, abs=0.05 if share > 1 else 0.001)
    assert by_formula(shape, method) == trained


@pytest.mark.filterwarnings(PEFT_ASKS)
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("microsoft/Phi-3-mini-4k-instruct", {"rank": 8}),
        ("microsoft/Phi-3-mini-4k-instruct", {"rank": 8, "target_modules": "attention"}),
        ("microsoft/Phi-3-mini-4k-instruct", {"rank": 8, "target_modules": "mlp"}),
        ("HuggingFaceTB/SmolLM2-135M", {"rank": 4, "variant": "rslora"}),
        ("google/gemma-3-1b-it", {"kind": "top-layer", "layers": 3}),
        ("Qwen/Qwen2.5-3B", {"kind": "full"}),
    ],
)
def test_the_formula_is_what_the_methods_train(name: str, values: dict[str, Any]) -> None:
    from lab.modeling.load import trainable_count
    from lab.modeling.methods import METHODS

    method, shape = Method(**values), known_shape(name)
    assert trainable_count(METHODS[method.kind](on_meta(name), method, 0)) == by_formula(shape, method)


def test_a_fused_model_has_no_separate_projections() -> None:
    shape = known_shape("phi-3-mini")
    with pytest.raises(UsageError, match="no linear 'q_proj'"):
        adapter_parameters(shape, 8, ["q_proj"])
    assert trained_parameters(shape, "baseline") == 0
    assert set(KNOWN) >= {"phi-3-mini", "gemma-2-2b"}

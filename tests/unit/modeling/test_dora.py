"""DoRA answers by norms made once as it does by PEFT's, which multiplies its matrices out in every pass."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lab.bench.tinymodels import adapted
from lab.modeling.dora import adapted_norms, row_squares, settled

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # PEFT calls what transformers has renamed
CPU = torch.device("cpu")


def logits(model: Any) -> torch.Tensor:
    found: torch.Tensor = model(torch.arange(3, 23)[None]).logits
    return found.detach()


def test_norms_are_those_of_the_sum() -> None:
    torch.manual_seed(0)
    weight, low, high = torch.randn(40, 30), torch.randn(4, 30), torch.randn(40, 4)
    expected = torch.linalg.vector_norm(weight + high @ low, dim=1)
    assert torch.allclose(adapted_norms(row_squares(weight), weight, low, high), expected, rtol=1e-5)


@pytest.mark.parametrize("quantised", ["", "nf4"])
@pytest.mark.parametrize("family", ["llama", "qwen2"])  # qwen2's projections have biases
def test_answers_are_peft_s(family: str, quantised: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from peft.tuners.lora.dora import DoraLinearLayer

    model = adapted(family, CPU, torch.float32, quantised=quantised, dora=True).eval()
    plain = logits(model)
    with monkeypatch.context() as patch, settled(model):
        patch.setattr(DoraLinearLayer, "get_lora_weight", lambda *_, **__: pytest.fail("A and B were multiplied out"))
        assert torch.allclose(logits(model), plain, atol=1e-4)
    assert torch.equal(logits(model), plain)  # and PEFT's own again


def test_other_adapters_are_left_alone() -> None:
    model = adapted("llama", CPU, torch.float32).eval()
    plain = logits(model)
    with settled(model):
        assert torch.equal(logits(model), plain)

"""Model FLOPs a token against a table computed from instantiated models."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.series.flops import flops_per_token, mean_length
from lab.series.shapes import ModelShape, adapter_parameters, parameter_counts

LLAMA_1B = ModelShape(2048, 8192, 16, 32, 8, 64, 128256, tied=True)
GEMMA_1B = ModelShape(1152, 6912, 26, 4, 1, 256, 262144, tied=True, hidden_norms=4, head_norms=2)


@pytest.mark.parametrize(
    ("shape", "gigaflops"),
    [
        (ModelShape(576, 1536, 30, 9, 3, 64, 49152, tied=True), 0.78),
        (LLAMA_1B, 5.41),
        (GEMMA_1B, 4.40),
        (ModelShape(3072, 8192, 28, 24, 8, 128, 128256, tied=True), 14.05),
        (ModelShape(3584, 18944, 28, 28, 4, 128, 152064, tied=False), 29.76),
        (ModelShape(4096, 14336, 32, 32, 8, 128, 32768, tied=False), 30.32),
        (ModelShape(4096, 14336, 32, 32, 8, 128, 128256, tied=False), 31.88),
    ],
)
def test_flops_per_token_at_2048_tokens(shape: ModelShape, gigaflops: float) -> None:
    found = flops_per_token(shape, length=2048, adapter_parameters=adapter_parameters(shape, 16))
    assert found / 1e9 == pytest.approx(gigaflops, rel=0.01)


def test_tokens_without_a_label_skip_the_head() -> None:
    saved = flops_per_token(LLAMA_1B, length=512) - flops_per_token(LLAMA_1B, length=512, labelled=0.25)
    assert saved == pytest.approx(0.75 * 4 * 128256 * 2048)


def test_without_attention_and_head_a_frozen_weight_costs_four() -> None:
    assert flops_per_token(LLAMA_1B, length=0, labelled=0) == 4 * parameter_counts(LLAMA_1B).decoder


def test_a_weight_that_trains_costs_six() -> None:
    found = flops_per_token(LLAMA_1B, length=0, frozen=False)
    assert found == 6 * (parameter_counts(LLAMA_1B).decoder + LLAMA_1B.vocab * LLAMA_1B.hidden)


@pytest.mark.parametrize("length", [1, 300, 512, 513, 2048, 9000])
def test_sliding_layers_cost_what_their_tokens_see(length: int) -> None:
    sliding = replace(GEMMA_1B, window=512, windowed_layers=22)
    seen = sum(min(position + 0.5, 512) for position in range(length)) / length  # half of the token's own
    saved = flops_per_token(GEMMA_1B, length=length) - flops_per_token(sliding, length=length)
    assert saved == pytest.approx(6 * 4 * 256 * 22 * (length - 2 * seen), rel=1e-3, abs=1e5)


@pytest.mark.parametrize(
    ("lengths", "expected"), [([], 0.0), ([0], 0.0), ([100], 100.0), ([100, 100], 100.0), ([100, 300], 250.0)]
)
def test_mean_length_is_that_of_a_token_s_document(lengths: list[int], expected: float) -> None:
    assert mean_length(lengths) == expected

"""The fused head: its loss and gradients, and how many rows of logits it holds at once."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from lab.bench.tinymodels import plain_model
from lab.modeling.fast import head
from lab.modeling.fast.head import head_loss, rows_at_once
from lab.modeling.fast.kernels import IGNORED

MIB = 2**20


@pytest.mark.parametrize(
    ("vocabulary", "rows", "expected"),
    [
        (128256, 16384, 2048),  # half a GiB, where the states of so many rows take more
        (128256, 2560, 896),  # three parts of like size, each within a quarter of a GiB
        (128256, 1000, 1024),
        (262144, 4096, 512),
        (128256, 0, 128),
    ],
)
def test_parts_are_even_and_within_the_budget(vocabulary: int, rows: int, expected: int) -> None:
    assert rows_at_once(vocabulary, 2, rows) == expected
    assert expected * vocabulary * 2 <= 512 * MIB


def test_a_budget_of_its_own() -> None:
    assert rows_at_once(1024, 2, 1000, MIB) == 512


@pytest.mark.parametrize("trains", [False, True])
def test_loss_and_gradients_are_those_of_cross_entropy(trains: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head, "ROWS_STEP", 1)
    monkeypatch.setattr(head, "tile_bytes", lambda rows: 16 * 512 * 4)  # three parts
    causal = plain_model("llama", torch.device("cpu"), torch.float32)
    weight = causal.get_output_embeddings().weight.requires_grad_(trains)
    rows = torch.randn(40, weight.shape[1], requires_grad=True)
    targets = torch.randint(0, len(weight), (40,))
    targets[::7] = IGNORED
    wanted = [rows, weight] if trains else [rows]
    plain = functional.cross_entropy(rows @ weight.t(), targets, reduction="sum") / 9
    fast = head_loss(causal, rows, targets, 9)
    torch.testing.assert_close(fast, plain)
    for ours, theirs in zip(torch.autograd.grad(fast, wanted), torch.autograd.grad(plain, wanted), strict=True):
        torch.testing.assert_close(ours, theirs)

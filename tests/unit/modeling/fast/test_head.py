"""How many rows of logits the fused head holds at once."""

from __future__ import annotations

import pytest
import torch

from lab.modeling.fast.head import HeadForm, rows_at_once

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
    form = HeadForm(torch.empty(vocabulary, 8, dtype=torch.bfloat16, device="meta"), 1.0, 0.0)
    assert rows_at_once(form, rows) == expected
    assert rows_at_once(form, rows) * vocabulary * 2 <= 512 * MIB


def test_a_budget_of_its_own() -> None:
    form = HeadForm(torch.empty(1024, 8, dtype=torch.bfloat16, device="meta"), 1.0, 0.0)
    assert rows_at_once(form, 1000, MIB) == 512

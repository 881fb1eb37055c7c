"""Where documents begin and end for each token, and the kernels over them where Triton can be had."""

from __future__ import annotations

import pytest
import torch

from lab.bench.checking import LIMITS, Setting
from lab.bench.piecechecks import check_short
from lab.modeling.fast.documents import document_spans
from lab.modeling.fast.kernels import by_triton


@pytest.mark.parametrize(
    ("ends", "begins", "stops"),
    [
        ([0, 3], [0, 0, 0], [3, 3, 3]),
        ([0, 1, 4], [0, 1, 1, 1], [1, 4, 4, 4]),
        ([0, 2, 2, 3, 3], [0, 0, 2], [2, 2, 3]),
        ([0, 0, 2], [0, 0], [2, 2]),
    ],
)
def test_spans(ends: list[int], begins: list[int], stops: list[int]) -> None:
    spans = document_spans(torch.tensor(ends, dtype=torch.int32), ends[-1])
    assert spans.dtype == torch.int32
    assert spans.tolist() == [begins, stops]


@pytest.mark.skipif(not by_triton(torch.zeros(1)), reason="needs Triton under its interpreter (TRITON_INTERPRET=1)")
def test_kernels_attend_as_sdpa_does() -> None:
    torch.manual_seed(0)
    assert check_short(Setting(torch.device("cpu"), "fp32")) <= LIMITS["fp32"]

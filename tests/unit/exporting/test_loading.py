"""In what models are compared: as exactly as memory allows."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from lab.errors import OutOfSpaceError
from lab.exporting import loading
from lab.exporting.loading import MAPPED_BYTES, compute_dtype

BILLION = 10**9


def work(folder: Path, *, kind: str = "cpu", quantization: str = "none", dtype: str = "bf16") -> Any:
    said: list[str] = []
    return SimpleNamespace(
        hardware=SimpleNamespace(kind=kind),
        chain=SimpleNamespace(dtype="fp16", quantization=quantization),
        base="dequantised" if quantization != "none" else "full",
        request=SimpleNamespace(dtype=dtype),
        folder=folder,
        say=said.append,
        said=said,
    )


def stored(folder: Path, dtype: torch.dtype) -> Path:
    save_file({"weight": torch.zeros(2, 2, dtype=dtype)}, folder / "model.safetensors")
    return folder


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Any:
    def set_free(amount: float, limit: float = 1e15) -> None:
        monkeypatch.setattr(loading.psutil, "virtual_memory", lambda: SimpleNamespace(available=amount))
        monkeypatch.setattr(loading, "usable_bytes", lambda: limit)

    return set_free


@pytest.mark.parametrize(("gigabytes", "expected"), [(6, "fp32"), (5, "bf16"), (3, "bf16")])
def test_fp32_where_it_fits_else_bf16(free: Any, tmp_path: Path, gigabytes: int, expected: str) -> None:
    free(gigabytes * BILLION)
    assert compute_dtype(work(tmp_path), BILLION) == expected


def test_a_control_group_may_leave_less(free: Any, tmp_path: Path) -> None:
    free(100 * BILLION, limit=3 * BILLION)
    assert compute_dtype(work(tmp_path), BILLION) == "bf16"


def test_a_gpu_computes_as_the_run_did(free: Any, tmp_path: Path) -> None:
    free(0)
    assert compute_dtype(work(tmp_path, kind="cuda"), BILLION) == "fp16"


def test_a_bf16_model_larger_than_memory_stays_in_its_files(free: Any, tmp_path: Path) -> None:
    free(MAPPED_BYTES + 1)
    asked = work(stored(tmp_path, torch.bfloat16))
    assert compute_dtype(asked, 8 * BILLION) == "bf16"
    assert "larger than the memory" in asked.said[0]


@pytest.mark.parametrize(
    ("dtype", "options", "gigabytes"),
    [
        (torch.float32, {}, 5),
        (torch.bfloat16, {"dtype": "fp32"}, 5),
        (torch.bfloat16, {"quantization": "nf4"}, 5),
        (torch.bfloat16, {}, 3),
    ],
    ids=["stored in fp32", "merged in fp32", "quantised base", "no room beside it"],
)
def test_what_would_have_to_be_in_memory_is_refused(
    free: Any, tmp_path: Path, dtype: torch.dtype, options: dict[str, str], gigabytes: int
) -> None:
    free(gigabytes * BILLION)
    with pytest.raises(OutOfSpaceError, match="loads the model into memory"):
        compute_dtype(work(stored(tmp_path, dtype), **options), 8 * BILLION)

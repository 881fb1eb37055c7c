"""Padded or packed, how many rows at once, by which attention: decided from profile, device and model."""

from __future__ import annotations

import sys
import types
from collections.abc import Sequence
from typing import Any

import pytest
from transformers import AutoConfig

from lab.errors import ProfileError
from lab.modeling.hardware import Hardware
from lab.profile.load import resolve
from lab.training.batching import CPU_TOKENS, GPU_TOKENS, LEAN_TOKENS, MASKED_TOKENS
from lab.training.recipe import Recipe, decide

H100 = Hardware("cuda", "NVIDIA H100", True, 80_000_000_000, 8, frozenset({"varlen", "triton"}))
FLASH = Hardware("cuda", "NVIDIA H100", True, 80_000_000_000, 8, frozenset({"varlen", "flash_attention_2"}))
OLD_TORCH = Hardware("cuda", "NVIDIA H100", True, 80_000_000_000, 8)
T4 = Hardware("cuda", "Tesla T4", False, 16_000_000_000, 8)
CPU = Hardware("cpu", "some CPU", False, 8_000_000_000, 2)
LARGE = "train.tokens_per_step=50000"


def config(kind: str = "llama", **changes: Any) -> Any:
    return AutoConfig.for_model(kind, **changes)


def recipe(
    hardware: Hardware, *sets: str, model: Any = None, lengths: Sequence[int] = (100, 50), sharable: bool = True
) -> Recipe:
    profile = resolve("some", {"data": {"source": [{"name": "bundled:helpdesk"}]}}, {}, sets).profile
    return decide(profile, hardware, lengths, sharable=sharable, config=model or config())


@pytest.mark.parametrize(
    ("hardware", "model", "asked", "attention", "batching", "tokens"),
    [
        (H100, config(), "auto", "varlen", "packed", GPU_TOKENS),
        (H100, config("gemma3_text"), "auto", "varlen", "packed", GPU_TOKENS),
        (H100, config("gemma2"), "auto", "eager", "packed", MASKED_TOKENS),
        (H100, config("mamba"), "auto", "sdpa", "padded", 0),
        (H100, config("gemma3"), "auto", "sdpa", "padded", 0),
        (H100, config(head_dim=512), "auto", "sdpa", "packed", MASKED_TOKENS),
        (H100, config(), "sdpa", "sdpa", "padded", 0),
        (H100, config(), "varlen", "varlen", "packed", GPU_TOKENS),
        (OLD_TORCH, config(), "auto", "sdpa", "packed", MASKED_TOKENS),
        (T4, config(), "auto", "sdpa", "packed", MASKED_TOKENS),
        (FLASH, config(), "flash_attention_2", "flash_attention_2", "packed", GPU_TOKENS),
        (CPU, config(), "auto", "sdpa", "padded", 0),
        (CPU, config("gemma2"), "auto", "eager", "padded", 0),
        (CPU, config(), "varlen", "varlen", "packed", CPU_TOKENS),
    ],
)
def test_attention_and_batching(
    hardware: Hardware, model: Any, asked: str, attention: str, batching: str, tokens: int
) -> None:
    found = recipe(hardware, f"model.attention={asked}", LARGE, model=model)
    assert (found.attention.value, found.batching.value) == (attention, batching)
    assert found.micro_tokens.value == tokens
    assert (found.micro_batch.value == 0) is (batching == "packed")
    assert found.load_attention == ("eager" if attention == "eager" else "sdpa")
    assert found.attention.why
    assert found.batching.why


@pytest.mark.parametrize(
    ("hardware", "model", "asked", "reason"),
    [
        (T4, config(), "varlen", "no FlashAttention over documents"),
        (H100, config("mamba"), "varlen", "nobody tried"),
        (CPU, config("mamba"), "varlen", "nobody tried"),
        (H100, config("gemma2"), "varlen", "does not cap"),
        (H100, config(), "flash_attention_2", "flash-attn is not installed"),
        (CPU, config(), "flash_attention_2", "flash-attn is not installed"),
    ],
)
def test_an_attention_that_cannot_be_had_is_refused(hardware: Hardware, model: Any, asked: str, reason: str) -> None:
    with pytest.raises(ProfileError, match=reason) as caught:
        recipe(hardware, f"model.attention={asked}", model=model)
    assert '"auto"' in caught.value.remedy


def test_fp32_has_no_kernel() -> None:
    found = recipe(H100, "model.dtype=fp32")
    assert (found.attention.value, found.batching.value) == ("sdpa", "packed")
    assert "fp32" in found.attention.why


@pytest.mark.parametrize(("longest", "tokens"), [(100, GPU_TOKENS), (GPU_TOKENS, GPU_TOKENS), (20_000, 20_000)])
def test_the_longest_row_fits_a_packed_micro_batch(longest: int, tokens: int) -> None:
    assert recipe(H100, LARGE, lengths=[5, longest]).micro_tokens.value == tokens


@pytest.mark.parametrize(
    ("lengths", "tokens"),
    [
        ([100] * 50, 1792),  # 1,600 tokens, all steps alike
        ([20, 180] * 50, 2560),  # 1,600, a step in a hundred has more than 2,400
        ([50] * 99 + [500], 1536),  # 872, with a spread of 448 twice and a half
        ([10, 400] * 50, 5376),
        ([100, 3000], 16384),  # no more than what is fast
        ([10] * 999 + [3000], 3000),  # the longest row always fits
        ([100], 16384),  # one row says nothing about steps
    ],
)
def test_a_rare_long_step_of_examples_is_split(lengths: list[int], tokens: int) -> None:
    found = recipe(H100, "train.examples_per_step=16", lengths=lengths).micro_tokens
    assert found.value == tokens
    assert ("rare longer one" in found.why) is (tokens in (1792, 2560, 1536, 5376))


def test_who_recomputes_all_takes_half_the_tokens_at_once_on_a_gpu() -> None:
    lean = "train.checkpointing=all"
    assert recipe(H100, lean, LARGE).micro_tokens.value == LEAN_TOKENS == GPU_TOKENS // 2
    assert recipe(H100, "train.checkpointing=every-2", LARGE).micro_tokens.value == GPU_TOKENS
    assert recipe(T4, lean, LARGE).micro_tokens.value == MASKED_TOKENS


def test_a_micro_batch_asked_for_is_kept_for_packed_rows() -> None:
    assert recipe(H100, "train.micro_batch=4").micro_batch.value == 4


@pytest.mark.parametrize(("longest", "rows"), [(100, CPU_TOKENS // 100), (CPU_TOKENS, 1), (2 * CPU_TOKENS, 1)])
def test_steps_of_tokens_are_padded_by_budget(longest: int, rows: int) -> None:
    found = recipe(CPU, "train.tokens_per_step=10000", lengths=[5, longest])
    assert (found.micro_batch.value, found.batching.value) == (rows, "padded")


def test_a_step_too_small_for_a_row_is_refused() -> None:
    with pytest.raises(ProfileError, match="cannot hold the longest row, 2000 tokens"):
        recipe(H100, "train.tokens_per_step=1999", lengths=[2000])
    assert recipe(H100, "train.tokens_per_step=2000", lengths=[2000]).micro_tokens.value == GPU_TOKENS


@pytest.mark.parametrize(
    ("hardware", "installed", "kinds", "value", "why"),
    [
        (H100, False, (), "torch", "not installed"),
        (CPU, False, (), "torch", "needs a GPU"),
        (H100, True, ("llama",), "liger", "norms"),
        (H100, True, ("qwen2",), "torch", "no kernels for this model"),
    ],
)
def test_kernels_of_layers(
    monkeypatch: pytest.MonkeyPatch, hardware: Hardware, installed: bool, kinds: tuple[str, ...], value: str, why: str
) -> None:
    patching = types.ModuleType("liger_kernel.transformers.monkey_patch")
    patching.MODEL_TYPE_TO_APPLY_LIGER_FN = dict.fromkeys(kinds)  # type: ignore[attr-defined]
    for name in ("liger_kernel", "liger_kernel.transformers"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, patching.__name__, patching)
    kernels = hardware.kernels | {"liger"} if installed else hardware.kernels
    device = Hardware(hardware.kind, hardware.name, hardware.bf16, 1, 1, kernels)
    found = recipe(device).kernels
    assert found.value == value
    assert why in found.why

"""How a profile is carried out on a device, and why."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from lab.errors import ProfileError
from lab.jsonio import dumps
from lab.modeling.hardware import Hardware
from lab.profile.load import resolve
from lab.profile.schema import Profile
from lab.training.batching import CPU_TOKENS, GPU_TOKENS
from lab.training.recipe import LATER, Recipe, decide, epoch_steps_in, epochs_in, steps_in

H100 = Hardware("cuda", "NVIDIA H100", True, 80_000_000_000, 8)
T4 = Hardware("cuda", "Tesla T4", False, 16_000_000_000, 8)
PLAIN = Hardware("cpu", "some CPU", False, 8_000_000_000, 2)
AMX = Hardware("cpu", "a CPU with AMX", True, 8_000_000_000, 2)


def profile(*sets: str) -> Profile:
    return resolve("some", {"data": {"source": [{"name": "bundled:helpdesk"}]}}, {}, sets).profile


def recipe(hardware: Hardware, *sets: str, lengths: Sequence[int] = (100, 50), sharable: bool = True) -> Recipe:
    return decide(profile(*sets), hardware, lengths, sharable=sharable)


@pytest.mark.parametrize(
    ("hardware", "asked", "dtype", "autocast", "scaling"),
    [
        (H100, "auto", "bf16", "bf16", False),
        (T4, "auto", "fp16", "fp16", True),
        (AMX, "auto", "bf16", "bf16", False),
        (PLAIN, "auto", "fp32", "", False),
        (H100, "fp32", "fp32", "", False),
        (H100, "fp16", "fp16", "fp16", True),
        (T4, "bf16", "bf16", "bf16", False),
        (PLAIN, "bf16", "bf16", "bf16", False),
        (AMX, "fp32", "fp32", "", False),
    ],
)
def test_precision(hardware: Hardware, asked: str, dtype: str, autocast: str, scaling: bool) -> None:
    found = recipe(hardware, f"model.dtype={asked}")
    assert (found.dtype.value, found.autocast.value, found.loss_scaling.value) == (dtype, autocast, scaling)
    assert found.adapter_dtype.value == "fp32"
    assert (found.device.value, found.device.why) == (hardware.kind, hardware.name)


@pytest.mark.parametrize(("hardware", "emulated"), [(T4, True), (PLAIN, True), (H100, False), (AMX, False)])
def test_emulated_precision_is_said(hardware: Hardware, emulated: bool) -> None:
    assert ("emulates" in recipe(hardware, "model.dtype=bf16").dtype.why) is emulated


@pytest.mark.parametrize("hardware", [PLAIN, AMX])
@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("model.dtype=fp16", 'model.dtype = "fp16" does not train on a CPU'),
        ("train.optimizer=paged_adamw", 'train.optimizer = "paged_adamw" needs a GPU'),
        ("train.optimizer=paged_adamw_8bit", 'train.optimizer = "paged_adamw_8bit" needs a GPU'),
    ],
)
def test_what_a_cpu_cannot_do_is_refused(hardware: Hardware, assignment: str, message: str) -> None:
    with pytest.raises(ProfileError, match=message) as caught:
        recipe(hardware, assignment)
    assert '"auto"' in caught.value.remedy


def test_dora_over_8_bits_is_refused_on_a_cpu_alone() -> None:
    sets = ("method.kind=qlora", "method.variant=dora", "model.quantization=int8")
    assert recipe(H100, *sets).quantization.value == "int8"
    with pytest.raises(ProfileError, match="over an int8 base needs a GPU"):
        recipe(PLAIN, *sets)


@pytest.mark.parametrize(
    ("hardware", "asked", "chosen"),
    [
        (PLAIN, "auto", "adamw_torch"),
        (PLAIN, "adamw", "adamw_torch"),
        (H100, "auto", "adamw_torch_fused"),
        (H100, "adamw_8bit", "adamw_8bit"),
        (H100, "paged_adamw", "paged_adamw_32bit"),
        (H100, "paged_adamw_8bit", "paged_adamw_8bit"),
    ],
)
def test_optimizers(hardware: Hardware, asked: str, chosen: str) -> None:
    assert recipe(hardware, f"train.optimizer={asked}").optimizer.value == chosen


@pytest.mark.parametrize(
    ("hardware", "step", "longest", "rows"),
    [
        (PLAIN, 16, 100, 16),
        (PLAIN, 16, CPU_TOKENS // 16, 16),
        (PLAIN, 16, CPU_TOKENS // 16 + 1, 8),
        (PLAIN, 12, 800, 4),
        (PLAIN, 7, 1000, 1),
        (PLAIN, 7, 585, 7),
        (PLAIN, 16, CPU_TOKENS, 1),
        (PLAIN, 16, CPU_TOKENS * 4, 1),
        (H100, 16, 2048, 8),
        (H100, 16, GPU_TOKENS // 16, 16),
        (H100, 1, 99999, 1),
    ],
)
def test_micro_batches_divide_the_step_and_fit_the_budget(
    hardware: Hardware, step: int, longest: int, rows: int
) -> None:
    found = recipe(hardware, f"train.examples_per_step={step}", lengths=[3, longest, 5]).micro_batch
    assert found.value == rows
    assert str(longest) in found.why
    assert step % found.value == 0
    assert found.value == 1 or found.value * longest <= (CPU_TOKENS if hardware.kind == "cpu" else GPU_TOKENS)


def test_a_baseline_has_no_rows_to_fit() -> None:
    assert recipe(PLAIN, "method.kind=baseline", lengths=()).micro_batch.value == 16


def test_a_micro_batch_asked_for_is_taken_or_refused() -> None:
    asked = recipe(PLAIN, "train.micro_batch=8", lengths=[100_000]).micro_batch
    assert (asked.value, asked.why) == (8, "train.micro_batch")
    with pytest.raises(ProfileError, match=r"train\.micro_batch = 5 does not divide train\.examples_per_step = 16"):
        recipe(PLAIN, "train.micro_batch=5")
    with pytest.raises(ProfileError, match="does not divide"):
        recipe(PLAIN, "train.micro_batch=32")


@pytest.mark.parametrize(
    ("sets", "sharable", "shared"),
    [
        ((), True, True),
        (("train.checkpointing=off",), True, True),
        ((), False, False),
        (("method.dropout=0.05",), True, False),
        (("train.checkpointing=all",), True, False),
    ],
)
def test_beginnings_are_shared_where_nothing_speaks_against_it(
    sets: tuple[str, ...], sharable: bool, shared: bool
) -> None:
    assert recipe(PLAIN, *sets, sharable=sharable).shared_prefix.value is shared


@pytest.mark.parametrize(
    ("sets", "kind", "why"),
    [
        ((), "none", "method.kind = lora"),
        (("method.kind=qlora",), "nf4", "method.kind = qlora"),
        (("method.kind=qlora", "model.double_quant=true"), "nf4", "method.kind = qlora, double quantisation"),
        (("method.kind=baseline", "model.quantization=nf4"), "nf4", "model.quantization"),
    ],
)
def test_quantisation(sets: tuple[str, ...], kind: str, why: str) -> None:
    found = recipe(H100, *sets).quantization
    assert (found.value, found.why) == (kind, why)


@pytest.mark.parametrize(
    ("assignment", "field", "value", "why"),
    [
        ("model.attention=auto", "attention", "sdpa", "needs a GPU"),
        ("model.attention=eager", "attention", "eager", "model.attention"),
        ("train.checkpointing=auto", "checkpointing", "off", "costs a third"),
        ("train.checkpointing=all", "checkpointing", "all", "train.checkpointing"),
        ("train.threads=0", "threads", 2, "the physical cores"),
        ("train.threads=2", "threads", 2, "train.threads"),
    ],
)
def test_other_choices_say_why(assignment: str, field: str, value: Any, why: str) -> None:
    choice = getattr(recipe(PLAIN, assignment), field)
    assert choice.value == value
    assert why in choice.why


@pytest.mark.parametrize("hardware", [H100, T4, PLAIN, AMX])
def test_a_recipe_comes_back_from_json(hardware: Hardware) -> None:
    found = recipe(hardware, "method.kind=qlora")
    assert Recipe.from_json(json.loads(dumps(found.as_json()))) == found


def test_a_recipe_made_before_there_was_a_choice_pads() -> None:
    found = recipe(PLAIN)
    record = json.loads(dumps(found.as_json()))
    for name in LATER:
        del record["choices"][name]
    old = Recipe.from_json(record)
    assert (old.batching.value, old.micro_tokens.value, old.kernels.value) == ("padded", 0, "off")
    assert (old.micro_batch, old.attention) == (found.micro_batch, found.attention)


@pytest.mark.parametrize(
    ("sets", "rows", "steps"),
    [
        ((), 160, 10),
        ((), 161, 11),
        (("train.epochs=3",), 161, 33),
        (("train.epochs=0.5",), 161, 6),
        (("train.max_steps=7", "train.epochs=3"), 161, 7),
    ],
)
def test_steps_of_a_profile(sets: tuple[str, ...], rows: int, steps: int) -> None:
    assert steps_in(profile(*sets), [5] * rows) == steps
    assert epochs_in(profile(*sets), [5] * rows) == steps / -(-rows // 16)


@pytest.mark.parametrize(("tokens", "steps", "epoch"), [(10, 320, 160), (20, 160, 80), (10_000, 2, 1)])
def test_steps_of_tokens(tokens: int, steps: int, epoch: int) -> None:
    asked = profile(f"train.tokens_per_step={tokens}", "train.epochs=2.0")
    lengths = [10] * 160
    assert epoch_steps_in(asked, lengths) == epoch
    assert steps_in(asked, lengths) == steps

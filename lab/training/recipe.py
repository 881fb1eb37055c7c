"""How a run is carried out on the device at hand, and why. Called by the worker and `lab plan`; kept by a resume.

The profile says what is studied; the recipe may not change what is learnt, only how fast and in how much memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from lab.errors import ProfileError
from lab.modeling.hardware import Hardware
from lab.profile.schema import Profile

CPU_TOKENS = 4096
GPU_TOKENS = 16384


@dataclass(frozen=True)
class Choice:
    """One decision: its value and the reason, in a line for people."""

    value: Any
    why: str


@dataclass(frozen=True)
class Recipe:
    """All decisions for one run.

    Attributes:
        dtype: precision of the weights and of the arithmetic.
        adapter_dtype: precision in which trained weights and the optimiser live.
        autocast: precision that trained weights are brought to in each pass; "" where nothing needs casting.
        loss_scaling: fp16's gradients need it.
        micro_batch: rows that go through the model at once; divides the examples of a step.
    """

    device: Choice
    dtype: Choice
    adapter_dtype: Choice
    autocast: Choice
    loss_scaling: Choice
    quantization: Choice
    attention: Choice
    micro_batch: Choice
    checkpointing: Choice
    optimizer: Choice
    loss: Choice
    shared_prefix: Choice
    threads: Choice

    def as_json(self) -> dict[str, Any]:
        return {"schema": 1, "choices": asdict(self)}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Recipe:
        """Read back what `as_json` wrote."""
        choices = record["choices"]
        return cls(**{field.name: Choice(**choices[field.name]) for field in fields(cls)})


def steps_in(profile: Profile, rows: int) -> int:
    """Return the number of optimiser steps that the profile asks for over `rows` training rows."""
    if profile.train.max_steps:
        return profile.train.max_steps
    return math.ceil(profile.train.epochs * math.ceil(rows / profile.train.examples_per_step))


def decide(profile: Profile, hardware: Hardware, lengths: Sequence[int], *, sharable: bool) -> Recipe:
    """Return the recipe for `profile` on `hardware`.

    Args:
        lengths: tokens of each training row; empty for a baseline.
        sharable: rows of this model can share the states of what they begin with (`modeling.prefix.can_share`).

    Raises:
        ProfileError: the profile asks for what the device cannot do.
    """
    dtype = _dtype(profile, hardware)
    cpu = hardware.kind == "cpu"
    return Recipe(
        device=Choice(hardware.kind, hardware.name),
        dtype=dtype,
        adapter_dtype=Choice("fp32", "AdamW's late updates are smaller than bf16 can hold"),
        autocast=Choice(
            "" if dtype.value == "fp32" else dtype.value, "the base computes in the precision it is stored in"
        ),
        loss_scaling=Choice(dtype.value == "fp16", "fp16 gradients underflow without it"),
        quantization=_quantization(profile),
        attention=_attention(profile),
        micro_batch=_micro_batch(profile, cpu, lengths),
        checkpointing=_checkpointing(profile),
        optimizer=_optimizer(profile, cpu),
        loss=Choice("supervised rows", "the head runs for supervised tokens alone, so logits of prompts never exist"),
        shared_prefix=_shared_prefix(profile, sharable),
        threads=Choice(hardware.threads, "train.threads" if profile.train.threads else "the physical cores"),
    )


def _dtype(profile: Profile, hardware: Hardware) -> Choice:
    asked = profile.model.dtype
    if asked == "fp16" and hardware.kind == "cpu":
        raise ProfileError('model.dtype = "fp16" does not train on a CPU.', 'Set it to "auto".')
    if asked != "auto":
        slow = asked == "bf16" and not hardware.bf16
        return Choice(asked, "model.dtype" + ("; this device emulates it" if slow else ""))
    if hardware.bf16:
        return Choice("bf16", "the device is fastest in bf16")
    if hardware.kind == "cuda":
        return Choice("fp16", "the GPU has no bf16 units")
    return Choice("fp32", "the CPU has no working AMX tiles, and without them bf16 is slower")


def _quantization(profile: Profile) -> Choice:
    kind = profile.quantization
    if kind == "none":
        return Choice("none", "method.kind = " + profile.method.kind)
    double = ", double quantisation" if profile.model.double_quant else ""
    asked = "model.quantization" if profile.model.quantization != "none" else "method.kind = qlora"
    return Choice(kind, asked + double)


def _attention(profile: Profile) -> Choice:
    if profile.model.attention == "auto":
        return Choice("sdpa", "serves padded batches on every device")
    return Choice(profile.model.attention, "model.attention")


def _micro_batch(profile: Profile, cpu: bool, lengths: Sequence[int]) -> Choice:
    """Return the largest divisor of the examples of a step whose padded rows stay within the token budget."""
    step = profile.train.examples_per_step
    if profile.train.micro_batch:
        if step % profile.train.micro_batch:
            raise ProfileError(
                f"train.micro_batch = {profile.train.micro_batch} does not divide train.examples_per_step = {step}.",
                "Set it to a divisor, or to 0.",
            )
        return Choice(profile.train.micro_batch, "train.micro_batch")
    budget = CPU_TOKENS if cpu else GPU_TOKENS
    longest = max(lengths, default=1)
    fitting = [n for n in range(1, step + 1) if step % n == 0 and n * longest <= budget]
    rows = max(fitting, default=1)
    return Choice(rows, f"{rows} x {longest} tokens, the longest row, within {budget} a micro-step")


def _checkpointing(profile: Profile) -> Choice:
    if profile.train.checkpointing == "auto":
        return Choice("off", "recomputing activations costs a third of the speed")
    return Choice(profile.train.checkpointing, "train.checkpointing")


def _shared_prefix(profile: Profile, sharable: bool) -> Choice:
    if not sharable:
        return Choice(False, "this model's layers keep more than plain keys and values")
    if profile.train.checkpointing not in ("auto", "off"):
        return Choice(False, "recomputing activations and shared states do not go together")
    if profile.method.dropout:
        return Choice(False, "with dropout rows that share states would share its draws")
    return Choice(True, "what all rows of a batch begin with goes through the model once")


def _optimizer(profile: Profile, cpu: bool) -> Choice:
    asked = profile.train.optimizer
    if asked in ("auto", "adamw"):
        return Choice("adamw_torch" if cpu else "adamw_torch_fused", "an adapter's optimiser state is small")
    if cpu and asked.startswith("paged"):
        raise ProfileError(f'train.optimizer = "{asked}" needs a GPU.', 'Set it to "auto".')
    return Choice({"paged_adamw": "paged_adamw_32bit"}.get(asked, asked), "train.optimizer")

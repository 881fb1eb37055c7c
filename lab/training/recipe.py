"""How a run is carried out on the device at hand, and why. Called by the worker and `lab plan`; kept by a resume.

The profile says what is studied; the recipe may not change what is learnt, only how fast and in how much memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from lab.errors import ProfileError
from lab.modeling.adapters import int8_dora_error
from lab.modeling.choice import Choice
from lab.modeling.fast.choose import FAST, fast_choices
from lab.modeling.hardware import Hardware
from lab.profile.schema import Profile
from lab.training.batching import Batching, choose_batching
from lab.training.sampler import StepSize, count_steps

LATER = ("batching", "micro_tokens", "kernels", "ranks", *FAST)
"""Choices that recipes of runs made before them lack."""


@dataclass(frozen=True)
class Recipe:
    """All decisions for one run.

    Attributes:
        dtype: precision of the weights and of the arithmetic.
        adapter_dtype: precision in which trained weights and the optimiser live.
        autocast: precision that trained weights are brought to in each pass; "" where nothing needs casting.
        loss_scaling: fp16's gradients need it.
        attention: what the layers attend by while they train; answers are always given by `load_attention`.
        batching: "packed", rows one after the other in one sequence, or "padded", side by side.
        micro_batch: rows that go through the model at once; 0 where `micro_tokens` alone decides.
        micro_tokens: packed tokens that go through the model at once; 0 where `micro_batch` decides.
        ranks: processes that share the rows of each step, one a GPU.
        kernels: "liger" or "torch": what norms, gated MLPs and rotary positions compute by while training.
        fused_lora, fused_head, cuda_graph, fused_block, short_attention: "on" or "off", from `modeling.fast.choose`.
    """

    device: Choice
    dtype: Choice
    adapter_dtype: Choice
    autocast: Choice
    loss_scaling: Choice
    quantization: Choice
    attention: Choice
    batching: Choice
    micro_batch: Choice
    micro_tokens: Choice
    checkpointing: Choice
    optimizer: Choice
    loss: Choice
    shared_prefix: Choice
    threads: Choice
    ranks: Choice
    kernels: Choice
    fused_lora: Choice
    fused_head: Choice
    cuda_graph: Choice
    fused_block: Choice
    short_attention: Choice

    @property
    def load_attention(self) -> str:
        """What the model is loaded with and answers by; SDPA knows paddings and caches."""
        return "eager" if self.attention.value == "eager" else "sdpa"

    @property
    def checkpoint_every(self) -> int:
        """Every how many blocks activations are recomputed: 0 never, 1 in all."""
        value = str(self.checkpointing.value)
        return {"off": 0, "all": 1}[value] if value in ("off", "all") else int(value.removeprefix("every-"))

    def as_json(self) -> dict[str, Any]:
        return {"schema": 1, "choices": asdict(self)}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Recipe:
        """Read back what `as_json` wrote."""
        formerly: dict[str, Any] = {name: {"value": "off", "why": "not known when this run was made"} for name in LATER}
        formerly["batching"] = formerly["batching"] | {"value": "padded"}
        formerly["micro_tokens"] = formerly["micro_tokens"] | {"value": 0}
        formerly["ranks"] = formerly["ranks"] | {"value": 1}
        choices = formerly | record["choices"]
        return cls(**{field.name: Choice(**choices[field.name]) for field in fields(cls)})


def steps_in(profile: Profile, lengths: Sequence[int]) -> int:
    """Return the number of optimiser steps that the profile asks for.

    Args:
        lengths: tokens of each training row.
    """
    train = profile.train
    return train.max_steps or count_steps(lengths, StepSize.of(train), train.seed, train.epochs)


def epoch_steps_in(profile: Profile, lengths: Sequence[int]) -> int:
    """Return the optimiser steps of the first epoch; packed epochs may differ by a step."""
    return count_steps(lengths, StepSize.of(profile.train), profile.train.seed, 1.0)


def epochs_in(profile: Profile, lengths: Sequence[int]) -> float:
    """Return the passes over the rows that the profile's steps make."""
    return steps_in(profile, lengths) / max(1, epoch_steps_in(profile, lengths))


def decide(
    profile: Profile, hardware: Hardware, lengths: Sequence[int], *, sharable: bool, config: Any = None
) -> Recipe:
    """Return the recipe for `profile` on `hardware`.

    Args:
        lengths: tokens of each training row; empty for a baseline.
        sharable: rows of this model can share the states of what they begin with (`modeling.prefix.can_share`).
        config: the model's configuration; without it rows are padded.

    Raises:
        ProfileError: the profile asks for what the device cannot do.
    """
    dtype = _dtype(profile, hardware)
    cpu = hardware.kind == "cpu"
    shared = _shared_prefix(profile, sharable)
    batching = choose_batching(Batching(profile, hardware, dtype.value, lengths, shared.value, config))
    return Recipe(
        device=Choice(hardware.kind, hardware.name),
        dtype=dtype,
        adapter_dtype=Choice("fp32", "AdamW's late updates are smaller than bf16 can hold"),
        autocast=Choice(
            "" if dtype.value == "fp32" else dtype.value, "the base computes in the precision it is stored in"
        ),
        loss_scaling=Choice(dtype.value == "fp16", "fp16 gradients underflow without it"),
        quantization=_quantization(profile, cpu),
        checkpointing=_checkpointing(profile),
        optimizer=_optimizer(profile, cpu),
        loss=Choice("supervised rows", "the head runs for supervised tokens alone, so logits of prompts never exist"),
        shared_prefix=shared,
        threads=Choice(hardware.threads, "train.threads" if profile.train.threads else "the physical cores"),
        ranks=ranks_choice(profile),
        kernels=_kernels(hardware, config),
        **batching,
        **fast_choices(profile, hardware, config, lengths, batching["micro_tokens"].value),
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


def _quantization(profile: Profile, cpu: bool) -> Choice:
    kind = profile.quantization
    if kind == "int8" and cpu and profile.method.variant == "dora":
        raise int8_dora_error()
    if kind == "none":
        return Choice("none", "method.kind = " + profile.method.kind)
    double = ", double quantisation" if profile.model.double_quant else ""
    asked = "model.quantization" if profile.model.quantization != "none" else "method.kind = qlora"
    return Choice(kind, asked + double)


def ranks_choice(profile: Profile) -> Choice:
    dealt = "the rows of each step are dealt out among so many processes"
    return Choice(profile.ranks, f"launch.gpus: {dealt}" if profile.ranks > 1 else "one process trains")


def _kernels(hardware: Hardware, config: Any) -> Choice:
    if "liger" not in hardware.kernels:
        return Choice("torch", "liger-kernel is not installed" if hardware.kind == "cuda" else "Liger needs a GPU")
    from lab.modeling.fast.layers import liger_obstacle

    obstacle = liger_obstacle(config)
    return Choice("torch", obstacle) if obstacle else Choice("liger", "fused norms, gated MLPs and rotary positions")


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

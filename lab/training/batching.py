"""How rows go through the model while it trains: padded or packed, how many at once, and by which attention.

Called by `recipe`. What an optimiser step sees is the profile's; this decides only how it is computed.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lab.errors import ProfileError
from lab.modeling.choice import Choice
from lab.modeling.fast.varlen import kernel_obstacle, packing_obstacle
from lab.modeling.hardware import Hardware
from lab.profile.schema import Profile

CPU_TOKENS = 4096
GPU_TOKENS = 16384
LEAN_TOKENS = 8192
STEP_MULTIPLE = 256
USUAL_SPREAD = 2.5
"""Standard deviations above the mean up to which a step of examples counts as a usual one: all but one in a hundred."""
MASKED_TOKENS = 2048
"""Packed tokens at once without a kernel for documents: their mask has tokens x tokens entries."""


@dataclass(frozen=True)
class Batching:
    """What the decision stands on.

    Attributes:
        dtype: precision of the arithmetic.
        lengths: tokens of each training row.
        share: rows are to share the states of what they begin with, which only padded ones can.
        config: the model's configuration; None where it is not known.
    """

    profile: Profile
    hardware: Hardware
    dtype: str
    lengths: Sequence[int]
    share: bool
    config: Any

    @property
    def longest(self) -> int:
        return max(self.lengths, default=1)

    @property
    def cpu(self) -> bool:
        return self.hardware.kind == "cpu"


def choose_batching(about: Batching) -> dict[str, Choice]:
    """Return the choices attention, batching, micro_batch and micro_tokens.

    Raises:
        ProfileError: the profile asks for an attention that cannot be had, a step that is too small for its rows, or a
            micro-batch that does not divide its step.
    """
    _check_step(about)
    attention = _attention(about)
    batching = _batching(about, attention.value)
    packed = batching.value == "packed"
    return {
        "attention": attention,
        "batching": batching,
        "micro_batch": _micro_batch(about, packed),
        "micro_tokens": _micro_tokens(about, attention.value) if packed else Choice(0, "rows are padded"),
    }


def _check_step(about: Batching) -> None:
    tokens = about.profile.train.tokens_per_step
    if tokens and about.longest > tokens:
        raise ProfileError(
            f"train.tokens_per_step = {tokens} cannot hold the longest row, {about.longest} tokens.",
            "Raise it, or lower data.max_length.",
        )


def _attention(about: Batching) -> Choice:
    asked = about.profile.model.attention
    text = about.config.get_text_config() if about.config is not None else None
    if asked == "auto":
        if getattr(text, "attn_logit_softcapping", None):
            return Choice("eager", "this model caps attention logits, which SDPA does not")
        obstacle = _varlen_obstacle(about)
        return Choice("sdpa", obstacle) if obstacle else Choice("varlen", "each document attends to itself alone")
    if asked == "varlen":
        _refuse(asked, packing_obstacle(about.config) or ("" if about.cpu else _varlen_obstacle(about)))
    if asked == "flash_attention_2" and asked not in about.hardware.kernels:
        _refuse(asked, "the package flash-attn is not installed, or there is no GPU for it")
    return Choice(asked, "model.attention")


def _refuse(attention: str, obstacle: str) -> None:
    if obstacle:
        raise ProfileError(f'model.attention = "{attention}" is not to be had: {obstacle}.', 'Set it to "auto".')


def _varlen_obstacle(about: Batching) -> str:
    """Return why FlashAttention over documents cannot serve; "" where it can."""
    if about.cpu:
        return "FlashAttention over documents needs a GPU"
    if "varlen" not in about.hardware.kernels:
        return "this GPU or this torch has no FlashAttention over documents"
    return packing_obstacle(about.config) or kernel_obstacle(about.config, about.dtype)


def _batching(about: Batching, attention: str) -> Choice:
    if attention == "varlen":
        return Choice("packed", "rows share one sequence without padding, and attention knows where each ends")
    if obstacle := packing_obstacle(about.config):
        return Choice("padded", obstacle)
    if about.cpu:
        return Choice("padded", "on a CPU a mask over all packed tokens costs more than padding")
    if about.profile.model.attention not in ("auto", "flash_attention_2"):
        return Choice("padded", f"model.attention = {about.profile.model.attention} would mask all packed tokens")
    return Choice("packed", "rows share one sequence without padding; a mask keeps them apart")


def _micro_tokens(about: Batching, attention: str) -> Choice:
    """Return the token budget of a packed micro-batch; the longest row always fits."""
    masked = attention not in ("varlen", "flash_attention_2")
    lean = about.profile.train.checkpointing == "all" and not about.cpu
    budget = MASKED_TOKENS if masked else CPU_TOKENS if about.cpu else LEAN_TOKENS if lean else GPU_TOKENS
    why = "the mask of packed tokens grows with their square" if masked else "more at once is no faster"
    if lean and not masked:
        why = "with activations computed again half as many at once take half the memory, at nearly the speed"
    usual = _usual_step(about)
    if usual and usual < budget:
        budget, why = (
            usual,
            "nearly all steps fit as a whole; a rare longer one is split, or it alone would set the peak",
        )
    return Choice(max(budget, about.longest), why if budget >= about.longest else "the longest row")


def _usual_step(about: Batching) -> int:
    """Return tokens that nearly all steps keep within; 0 where steps are of one size, or hold one row."""
    rows = 0 if about.profile.train.tokens_per_step else about.profile.train.examples_per_step
    rows = math.ceil(rows / max(1, about.profile.launch.gpus))
    if rows < 2 or len(about.lengths) < 2 or about.cpu:
        return 0
    mean, spread = statistics.fmean(about.lengths), statistics.pstdev(about.lengths)
    most = min(rows * mean + USUAL_SPREAD * math.sqrt(rows) * spread, rows * about.longest)
    return math.ceil(most / STEP_MULTIPLE) * STEP_MULTIPLE


def _micro_batch(about: Batching, packed: bool) -> Choice:
    """Return how many rows go through the model at once; of a step of examples it is a divisor."""
    train = about.profile.train
    step = 0 if train.tokens_per_step else train.examples_per_step
    if train.micro_batch:
        if step % train.micro_batch:
            raise ProfileError(
                f"train.micro_batch = {train.micro_batch} does not divide train.examples_per_step = {step}.",
                "Set it to a divisor, or to 0.",
            )
        return Choice(train.micro_batch, "train.micro_batch")
    if packed:
        return Choice(0, "as many as micro_tokens hold")
    budget = CPU_TOKENS if about.cpu else GPU_TOKENS
    fitting = max(1, budget // about.longest)
    rows = max((n for n in range(1, step + 1) if step % n == 0 and n <= fitting), default=1) if step else fitting
    return Choice(rows, f"{rows} x {about.longest} tokens, the longest row, within {budget} a micro-step")

"""Which fast pieces serve a run, and why not where they do not. Called by `training.recipe`."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from typing import Any

from lab.modeling.choice import Choice
from lab.modeling.fast.documents import heads_obstacle
from lab.modeling.fast.varlen import kernel_obstacle, packing_obstacle
from lab.modeling.hardware import Hardware
from lab.profile.schema import Profile
from lab.series.flops import mean_length
from lab.series.shapes import ATTENTION, HEAD, MLP, TARGETS

FAST = ("fused_lora", "fused_head", "cuda_graph", "fused_block", "short_attention")
WITHOUT = "LAB_WITHOUT"
"""Names of `FAST`, with commas between them, that are not to be used."""
FAMILIES = ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "smollm3")
BLOCK_FAMILIES = ("llama", "mistral", "qwen2")
"""Their blocks norm, attend, add, norm, multiply, add, and do nothing else."""
GRAPH_TOKENS = 8192
"""Steps up to about this size spend longer on launching kernels than on running them."""
USUAL_ROW = 256
"""Tokens of a row, where nothing is known about the rows."""
SHORT_ROW = 1024
"""Mean length of the row that a token stands in, up to which the kernel for short documents is surely the faster one.

On an H100 it is so up to 2,048 tokens, by 5 %; with 1,024 by a fourth, with Alpaca's rows by a factor of three."""


def fast_choices(
    profile: Profile, hardware: Hardware, config: Any, lengths: Sequence[int] = (), pass_tokens: int = 0
) -> dict[str, Choice]:
    """Return a choice for each name of `FAST`; its value is "on" or "off".

    Args:
        config: the model's configuration; None where it is not known.
        lengths: tokens of each training row; empty where they are not known.
        pass_tokens: packed tokens that go through the model at once; 0 where nothing limits them.
    """
    common = _obstacle(profile, hardware, config)
    lora = _switched_off("fused_lora") or common or _lora_obstacle(profile, config)
    layers = lora if _adapts(profile) else common or _family_obstacle(config)
    head = _switched_off("fused_head") or common or _head_obstacle(profile, hardware, config)
    block = _switched_off("fused_block") or lora or _block_obstacle(profile, hardware, config)
    graph = _switched_off("cuda_graph") or layers or head or _graph_obstacle(profile, config, lengths, pass_tokens)
    short = _switched_off("short_attention") or head or _short_obstacle(config, lengths)
    return {
        "fused_lora": _choice(lora, _why_fused(profile)),
        "fused_head": _choice(head, "its gradients are made in the forward pass, and its logits need no memory"),
        "cuda_graph": _choice(graph, "launching the kernels of so small a step takes longer than they do"),
        "fused_block": _choice(block, "norms are made again instead of kept, and sums ride along with products"),
        "short_attention": _choice(short, "rows are short, and FlashAttention is made for long ones"),
    }


def _choice(obstacle: str, why: str) -> Choice:
    return Choice("off", obstacle) if obstacle else Choice("on", why)


def _switched_off(name: str) -> str:
    return WITHOUT if name in os.environ.get(WITHOUT, "").split(",") else ""


def _adapted(profile: Profile) -> frozenset[str]:
    """Return the names of the linears that get adapters."""
    targets = profile.method.target_modules
    return frozenset(TARGETS.get(targets, ()) if isinstance(targets, str) else targets)


def _why_fused(profile: Profile) -> str:
    shared = {"q_proj", "k_proj", "v_proj"} <= _adapted(profile) or {"gate_proj", "up_proj"} <= _adapted(profile)
    why = "projections of one input share its products and its memory" if shared else "inputs are kept once, uncast"
    unpacked = "; 8-bit weights are unpacked, so that activations stay as they are"
    return why + unpacked if profile.quantization == "int8" else why


def _obstacle(profile: Profile, hardware: Hardware, config: Any) -> str:
    """Return why no fast piece can serve; "" where they can."""
    if hardware.kind != "cuda":
        return "made for GPUs"
    if not hardware.bf16 or profile.model.dtype not in ("auto", "bf16"):
        return "made for bf16"
    if "triton" not in hardware.kernels:
        return "Triton is not installed"
    return "the model's configuration is not known" if config is None else ""


def _adapts(profile: Profile) -> bool:
    return profile.method.kind in ("lora", "qlora")


def _lora_obstacle(profile: Profile, config: Any) -> str:
    if not _adapts(profile):
        return "made for LoRA and QLoRA"
    if profile.method.dropout:
        return "dropout before the adapters"
    if profile.model.adapter and profile.model.adapter_mode == "stack":
        return "two adapters at once"
    return _family_obstacle(config)


def _family_obstacle(config: Any) -> str:
    """Return why nothing is known of how the layers of a model compute; "" for the families that were tried."""
    family = config.get_text_config().model_type
    return "" if family in FAMILIES else f"not made for {family}"


def _head_obstacle(profile: Profile, hardware: Hardware, config: Any) -> str:
    if _adapts(profile) and HEAD in _adapted(profile):
        return "the head has an adapter"
    return _packed_obstacle(profile, hardware, config)


def _block_obstacle(profile: Profile, hardware: Hardware, config: Any) -> str:
    family = config.get_text_config().model_type
    if not _adapted(profile) >= {*ATTENTION, *MLP}:
        return "not all of a block's projections have adapters"
    return _packed_obstacle(profile, hardware, config) if family in BLOCK_FAMILIES else f"not made for {family}"


def _packed_obstacle(profile: Profile, hardware: Hardware, config: Any) -> str:
    if profile.model.attention not in ("auto", "varlen") or "varlen" not in hardware.kernels:
        return "rows are not packed"
    return packing_obstacle(config) or kernel_obstacle(config, "bf16")


def _short_obstacle(config: Any, lengths: Sequence[int]) -> str:
    if obstacle := heads_obstacle(config):
        return obstacle
    if not lengths:
        return "the rows are not known"
    return "" if mean_length(lengths) <= SHORT_ROW else "FlashAttention serves long rows faster"


def _graph_obstacle(profile: Profile, config: Any, lengths: Sequence[int], pass_tokens: int) -> str:
    """Return why steps are not replayed as CUDA graphs, which need the other pieces; "" where they are."""
    train = profile.train
    if _changing_rope(config):
        return "rotary positions that change with the length"
    row = statistics.fmean(lengths) if lengths else USUAL_ROW
    tokens = train.tokens_per_step or train.examples_per_step * row
    tokens /= max(1, profile.launch.gpus)
    tokens = min(tokens, pass_tokens or tokens, train.micro_batch * row or tokens)
    return "" if tokens <= GRAPH_TOKENS else "steps are large enough to hide the launching of kernels"


def _changing_rope(config: Any) -> bool:
    kinds = str(getattr(config.get_text_config(), "rope_parameters", None) or {})
    return "'dynamic'" in kinds or "'longrope'" in kinds

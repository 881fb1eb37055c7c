"""Puts the fused projections and norms into a model for the time of its training. Called by the trainer.

Only `forward` of single modules is replaced, and put back at the end: names, parameters and what is saved stay as they
are. Calls with a cache go to the model's own code.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from lab.modeling.fast.attend import family_attention, rotation_of
from lab.modeling.fast.blocks import Block, Norm, run_block
from lab.modeling.fast.kernels import rms_norm
from lab.modeling.fast.lora import Group, Part, gated_mlp, linear_obstacle, project

ROTATED = ("LlamaAttention", "MistralAttention", "Qwen2Attention")
"""Attention that rotates whole heads straight after the projections, and does nothing else to them."""
OF_BLOCKS = ("attention_mask", "past_key_values", "use_cache", "position_embeddings")
"""What blocks are told and do not hand on to attention as it is."""
BLOCKS = ("LlamaDecoderLayer", "MistralDecoderLayer", "Qwen2DecoderLayer")
"""Blocks that norm before attention and before the MLP, and add both to what came in; their attention is `ROTATED`."""
GATED = (
    "LlamaMLP",
    "MistralMLP",
    "Qwen2MLP",
    "Qwen3MLP",
    "SmolLM3MLP",
    "GemmaMLP",
    "Gemma2MLP",
    "Gemma3MLP",
)
ACTIVATIONS = {"SiLU": False, "SiLUActivation": False, "GELUTanh": True, "PytorchGELUTanh": True}
"""Name of an activation's class -> whether it is GELU."""
NORMS = {
    "LlamaRMSNorm": False,
    "MistralRMSNorm": False,
    "Qwen2RMSNorm": False,
    "Qwen3RMSNorm": False,
    "SmolLM3RMSNorm": False,
    "GemmaRMSNorm": True,
    "Gemma2RMSNorm": True,
    "Gemma3RMSNorm": True,
}
"""Name of a norm's class -> whether its gain is one more than its weight."""

Forward = Callable[..., Any]


@dataclass
class Installed:
    """What was put into a model.

    Attributes:
        norms, attentions, mlps: modules that were replaced whole.
        single: projections fused by themselves.
        blocks: decoder blocks that were replaced whole.
        left: why some projections were left as they were -> how many.
        dtype: the precision of the arithmetic, where a linear does not tell.
    """

    dtype: torch.dtype
    norms: int = 0
    attentions: int = 0
    mlps: int = 0
    single: int = 0
    blocks: int = 0
    left: dict[str, int] = field(default_factory=dict)
    _undo: list[tuple[nn.Module, Forward | None]] = field(default_factory=list)
    _groups: list[Group] = field(default_factory=list)
    _of: dict[int, list[Group]] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether no projection was left to PEFT."""
        return not self.left

    def replace(self, module: nn.Module, forward: Forward) -> None:
        self._undo.append((module, vars(module).get("forward")))
        module.forward = forward

    def group(self, modules: list[nn.Module]) -> Group:
        self._groups.append(Group([Part.read(module) for module in modules], self.dtype))
        return self._groups[-1]

    def own(self, module: nn.Module, groups: list[Group]) -> None:
        """Remember that `module` computes by `groups`."""
        self._of[id(module)] = groups

    def groups_of(self, module: Any) -> list[Group]:
        return self._of.get(id(module), [])

    def undo(self) -> None:
        """Put everything back."""
        for module, forward in reversed(self._undo):
            del module.forward
            if forward is not None:
                module.forward = forward
        for group in self._groups:
            group.release()


@contextlib.contextmanager
def fused(model: Any, *, norms: bool = True, blocks: bool = False) -> Iterator[Installed]:
    """Let `model`, with PEFT's adapters in it, compute by fused projections, and by one kernel a norm.

    Args:
        blocks: fuse whole blocks of packed rows too, where all in them was fused.

    Raises nothing where a piece cannot serve: `Installed.left` says what stayed.
    """
    installed = Installed(model.get_input_embeddings().weight.dtype)
    try:
        if norms:
            _install_norms(model, installed)
        _install_projections(model, installed)
        if blocks:
            _install_blocks(model, installed)
        yield installed
    finally:
        installed.undo()


def _install_norms(model: nn.Module, installed: Installed) -> None:
    for module in list(model.modules()):
        one_more = NORMS.get(type(module).__name__)
        if one_more is not None and not module.weight.requires_grad:
            installed.replace(module, _norm_forward(module, one_more))
            installed.norms += 1


def _norm_forward(module: Any, one_more: bool) -> Forward:
    eps = _epsilon(module)
    return lambda x: rms_norm(x, module.weight, eps, one_more=one_more)


def _epsilon(module: Any) -> float:
    return float(module.variance_epsilon if hasattr(module, "variance_epsilon") else module.eps)


def _install_projections(model: nn.Module, installed: Installed) -> None:
    from peft.tuners.lora.layer import LoraLayer

    claimed: set[int] = set()
    for module in list(model.modules()):
        for name, install in (("q_proj", _install_attention), ("gate_proj", _install_mlp)):
            if isinstance(getattr(module, name, None), nn.Module):
                claimed |= {id(linear) for linear in install(module, installed)}
    for module in list(model.modules()):
        if not isinstance(module, LoraLayer) or id(module) in claimed:
            continue
        if obstacle := linear_obstacle(module):
            installed.left[obstacle] = installed.left.get(obstacle, 0) + 1
        else:
            group = installed.group([module])
            installed.own(module, [group])
            installed.replace(module, _single_forward(group))
            installed.single += 1


def _single_forward(group: Group) -> Forward:
    return lambda x, *_, **__: project(x, group)


def _install_attention(module: Any, installed: Installed) -> list[nn.Module]:
    """Fuse q, k and v; return what was taken."""
    linears = [getattr(module, name, None) for name in ("q_proj", "k_proj", "v_proj")]
    if not _can_share(linears, installed.dtype):
        return []
    group = installed.group(linears)
    if type(module).__name__ in ROTATED:
        installed.own(module, [group])
        installed.replace(module, _attention_forward(module, group))
    else:
        shared = _Shared(group)
        for index, linear in enumerate(linears):
            installed.replace(linear, shared.forward(index))
    installed.attentions += 1
    return linears


def _can_share(linears: list[Any], dtype: torch.dtype) -> bool:
    """Tell whether all of `linears` can be fused, and into one matrix: of one kind and precision."""
    if any(linear is None or linear_obstacle(linear) for linear in linears):
        return False
    return len({Part.read(linear).kind(dtype) for linear in linears}) == 1


def _attention_forward(module: Any, group: Group) -> Forward:
    """Return an attention's forward pass whose heads are rotated where they stand."""
    original = module.forward
    sizes = _sizes(group)
    attend = family_attention(module)

    def forward(
        hidden_states: Tensor,
        position_embeddings: tuple[Tensor, Tensor],
        attention_mask: Tensor | None = None,
        past_key_values: Any = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None]:
        cos, sin = position_embeddings
        if past_key_values is not None or cos.shape[-1] != module.head_dim:
            return original(hidden_states, position_embeddings, attention_mask, past_key_values, **kwargs)
        shape = hidden_states.shape[:-1]
        turned = (sizes[0] + sizes[1]) // module.head_dim
        parts = project(hidden_states, group, rotation_of(cos, sin, shape), turned).split(sizes, dim=-1)
        query, key, value = (part.view(*shape, -1, module.head_dim) for part in parts)
        attended, weights = attend(query, key, value, attention_mask, kwargs)
        return module.o_proj(attended), weights

    return forward


def _sizes(group: Group) -> list[int]:
    return [output.stop - output.start for output in group.outputs]


def _install_blocks(model: nn.Module, installed: Installed) -> None:
    """Fuse the decoder blocks all of whose projections and norms are fused already."""
    for layer in model.modules():
        if type(layer).__name__ in BLOCKS and (block := _block(layer, installed)) is not None:
            installed.replace(layer, _block_forward(layer, block))
            installed.blocks += 1


def _block(layer: Any, installed: Installed) -> Block | None:
    attention, mlp = layer.self_attn, layer.mlp
    groups = [group for part in (attention, attention.o_proj, mlp) for group in installed.groups_of(part)]
    norms = [layer.input_layernorm, layer.post_attention_layernorm]
    frozen = all(type(norm).__name__ in NORMS and not norm.weight.requires_grad for norm in norms)
    if type(attention).__name__ not in ROTATED or len(groups) != 4 or not frozen:
        return None
    heads, out, pair, down = groups
    before, between = (Norm(norm.weight, _epsilon(norm), NORMS[type(norm).__name__]) for norm in norms)
    attend, gelu = family_attention(attention), ACTIVATIONS[type(mlp.act_fn).__name__]
    query, key, value = (size // attention.head_dim for size in _sizes(heads))

    def packed(q: Tensor, k: Tensor, v: Tensor, ends: dict[str, Any]) -> Tensor:
        return attend(q, k, v, None, ends)[0]

    return Block(before, heads, (query, key, value), packed, out, between, pair, down, gelu)


def _block_forward(layer: Any, block: Block) -> Forward:
    """Return a block's forward pass; what is not packed goes to the family's own, whose parts are fused."""
    original, width = layer.forward, layer.self_attn.head_dim

    def forward(hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        turned = kwargs.get("position_embeddings")
        packed = not args and kwargs.get("cu_seq_lens_q") is not None and kwargs.get("past_key_values") is None
        dense = kwargs.get("attention_mask") is not None or hidden_states.dtype != block.heads.dtype
        if not packed or dense or turned is None or turned[0].shape[-1] != width:
            return original(hidden_states, *args, **kwargs)
        cos, sin = turned
        rotation = rotation_of(cos, sin, hidden_states.shape[:-1])
        ends = {name: value for name, value in kwargs.items() if name not in OF_BLOCKS}
        run = partial(run_block, block=block, rotation=rotation, ends=ends)
        if layer.gradient_checkpointing and layer.training:  # the family's own forward pass would see to it
            return layer._gradient_checkpointing_func(run, hidden_states)
        return run(hidden_states)

    return forward


class _Shared:
    """Three projections of one input that are called one after the other: the first computes them all."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self.sizes = _sizes(group)
        self.x: Tensor | None = None
        self.parts: dict[int, Tensor] = {}

    def forward(self, index: int) -> Forward:
        def forward(x: Tensor, *_: Any, **__: Any) -> Tensor:
            if self.x is not x or index not in self.parts:
                self.x = x
                self.parts = dict(enumerate(project(x, self.group).split(self.sizes, dim=-1)))
            part = self.parts.pop(index)
            if not self.parts:
                self.x = None
            return part

        return forward


def _install_mlp(module: Any, installed: Installed) -> list[nn.Module]:
    """Fuse a gated MLP; return what was taken."""
    linears = [getattr(module, name, None) for name in ("gate_proj", "up_proj", "down_proj")]
    gelu = ACTIVATIONS.get(type(getattr(module, "act_fn", None)).__name__)
    if type(module).__name__ not in GATED or gelu is None or not _can_share(linears, installed.dtype):
        return []
    if any(a.low.shape != b.low.shape for a, b in pairwise(Part.read(linear) for linear in linears[:2])):
        return []
    pair, down = installed.group(linears[:2]), installed.group(linears[2:])
    installed.own(module, [pair, down])
    installed.replace(module, lambda x: gated_mlp(x, pair, down, gelu=gelu))
    installed.mlps += 1
    return linears

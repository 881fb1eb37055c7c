"""Puts the fused projections and norms into a model for the time of its training. Called by the trainer.

Only `forward` of single modules is replaced, and put back at the end: names, parameters and what is saved stay as they
are. Calls with a cache go to the model's own code.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from lab.modeling.fast.flash import flash
from lab.modeling.fast.kernels import rms_norm
from lab.modeling.fast.lora import Group, Part, Rotation, gated_mlp, linear_obstacle, project
from lab.modeling.fast.varlen import NAME as VARLEN

ROTATED = ("LlamaAttention", "MistralAttention", "Qwen2Attention")
"""Attention that rotates whole heads straight after the projections, and does nothing else to them."""
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
        left: why some projections were left as they were -> how many.
    """

    norms: int = 0
    attentions: int = 0
    mlps: int = 0
    single: int = 0
    left: dict[str, int] = field(default_factory=dict)
    _undo: list[tuple[nn.Module, Forward | None]] = field(default_factory=list)
    _groups: list[Group] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether no projection was left to PEFT."""
        return not self.left

    def replace(self, module: nn.Module, forward: Forward) -> None:
        self._undo.append((module, vars(module).get("forward")))
        module.forward = forward

    def group(self, modules: list[nn.Module]) -> Group:
        self._groups.append(Group([Part.read(module) for module in modules]))
        return self._groups[-1]

    def undo(self) -> None:
        """Put everything back."""
        for module, forward in reversed(self._undo):
            del module.forward
            if forward is not None:
                module.forward = forward
        for group in self._groups:
            group.release()


@contextlib.contextmanager
def fused(model: nn.Module, *, norms: bool = True) -> Iterator[Installed]:
    """Let `model`, with PEFT's adapters in it, compute by fused projections, and by one kernel a norm.

    Raises nothing where a piece cannot serve: `Installed.left` says what stayed.
    """
    installed = Installed()
    try:
        if norms:
            _install_norms(model, installed)
        _install_projections(model, installed)
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
    eps = float(module.variance_epsilon if hasattr(module, "variance_epsilon") else module.eps)
    return lambda x: rms_norm(x, module.weight, eps, one_more=one_more)


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
            installed.replace(module, _single_forward(installed.group([module])))
            installed.single += 1


def _single_forward(group: Group) -> Forward:
    return lambda x, *_, **__: project(x, group)


def _install_attention(module: Any, installed: Installed) -> list[nn.Module]:
    """Fuse q, k and v; return what was taken."""
    linears = [getattr(module, name, None) for name in ("q_proj", "k_proj", "v_proj")]
    if not _can_share(linears):
        return []
    group = installed.group(linears)
    if type(module).__name__ in ROTATED:
        installed.replace(module, _attention_forward(module, group))
    else:
        shared = _Shared(group)
        for index, linear in enumerate(linears):
            installed.replace(linear, shared.forward(index))
    installed.attentions += 1
    return linears


def _can_share(linears: list[Any]) -> bool:
    """Tell whether all of `linears` can be fused, and into one matrix: of one kind and precision."""
    if any(linear is None or linear_obstacle(linear) for linear in linears):
        return False
    parts = [Part.read(linear) for linear in linears]
    kinds = {(p.quantised.dtype, True) if p.quantised else (p.base.weight.dtype, False) for p in parts}
    return len(kinds) == 1


def _attention_forward(module: Any, group: Group) -> Forward:
    """Return an attention's forward pass whose heads are rotated where they stand."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    original = module.forward
    eager = vars(sys.modules[type(module).__module__])["eager_attention_forward"]
    sizes = [output.stop - output.start for output in group.outputs]
    windowed = _window_options(module)

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
        rotation = _rotation(cos, sin, shape, (sizes[0] + sizes[1]) // module.head_dim)
        heads = project(hidden_states, group, rotation).split(sizes, dim=-1)
        query, key, value = (part.view(*shape, -1, module.head_dim).transpose(1, 2) for part in heads)
        if hidden_states.is_cuda and module.config._attn_implementation == VARLEN:
            return module.o_proj(_flash(module, query, key, value, kwargs, windowed).reshape(*shape, -1)), None
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(module.config._attn_implementation, eager)
        dropout = module.attention_dropout if module.training else 0.0
        options = {"dropout": dropout, "scaling": module.scaling, **windowed, **kwargs}
        attended, weights = attend(module, query, key, value, attention_mask, **options)
        return module.o_proj(attended.reshape(*shape, -1).contiguous()), weights

    return forward


def _flash(
    module: Any, query: Tensor, key: Tensor, value: Tensor, ends: dict[str, Any], windowed: dict[str, Any]
) -> Tensor:
    """Attend inside the documents of a packed batch; heads come as (1, heads, tokens, width)."""
    q, k, v = (part[0].transpose(0, 1) for part in (query, key, value))
    window = windowed.get("sliding_window")
    return flash(q, k, v, ends["cu_seq_lens_q"], ends["max_length_q"], module.scaling, window)


def _rotation(cos: Tensor, sin: Tensor, shape: Any, heads: int) -> Rotation:
    """Return the rotation of each token of a batch of `shape`; positions may be the same for all its rows."""
    cos, sin = (side.expand(*shape, -1).reshape(-1, side.shape[-1]) for side in (cos, sin))
    return Rotation(cos, sin, heads)


def _window_options(module: Any) -> dict[str, Any]:
    """Return what the families hand to attention about its window (Llama hands nothing)."""
    kind = type(module).__name__
    if kind == "MistralAttention":
        return {"sliding_window": getattr(module.config, "sliding_window", None)}
    return {"sliding_window": module.sliding_window} if kind == "Qwen2Attention" else {}


class _Shared:
    """Three projections of one input that are called one after the other: the first computes them all."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self.sizes = [output.stop - output.start for output in group.outputs]
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
    if type(module).__name__ not in GATED or gelu is None or not _can_share(linears):
        return []
    if any(a.low.shape != b.low.shape for a, b in pairwise(Part.read(linear) for linear in linears[:2])):
        return []
    pair, down = installed.group(linears[:2]), installed.group(linears[2:])
    installed.replace(module, lambda x: gated_mlp(x, pair, down, gelu=gelu))
    installed.mlps += 1
    return linears

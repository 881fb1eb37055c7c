"""The sizes of a dense decoder and what follows from them: parameter counts, adapter sizes.

Read out of a model's `config.json` before any weight is loaded; called by `lab plan`, the recipe and the estimates of
memory and FLOPs beside this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab.errors import UsageError
from lab.text import did_you_mean

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
MLP = ("gate_proj", "up_proj", "down_proj")
FUSED_ATTENTION = ("qkv_proj", "o_proj")
FUSED_MLP = ("gate_up_proj", "down_proj")
TARGETS = {
    "attention": (*ATTENTION, FUSED_ATTENTION[0]),
    "mlp": (*MLP, FUSED_MLP[0]),
    "all-linear": (*ATTENTION, FUSED_ATTENTION[0], *MLP, FUSED_MLP[0]),
}
"""The linears that a group's name means; a model has the fused ones or those that they hold."""
HEAD = "lm_head"


@dataclass(frozen=True)
class ModelShape:
    """Sizes of a decoder with gated MLPs and RMS norms.

    Attributes:
        hidden, intermediate: widths of the residual stream and of the MLP.
        heads, kv_heads, head_dim: of attention; `heads * head_dim` need not be `hidden`.
        tied: the head is the embedding.
        hidden_norms: norms of width `hidden` a layer (Gemma has four).
        head_norms: norms of width `head_dim` a layer (two where queries and keys are normed).
        biased: the linears that have a bias.
        fused: queries, keys and values are one linear, gate and up projection another (Phi-3).
        window, windowed_layers: how far sliding attention sees, and how many layers slide.
    """

    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    tied: bool
    hidden_norms: int = 2
    head_norms: int = 0
    biased: tuple[str, ...] = ()
    fused: bool = False
    window: int = 0
    windowed_layers: int = 0

    def linears(self) -> dict[str, tuple[int, int]]:
        """Return (inputs, outputs) of each linear of one layer, by its name."""
        query, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        if self.fused:
            return {
                "qkv_proj": (self.hidden, query + 2 * keys),
                "o_proj": (query, self.hidden),
                "gate_up_proj": (self.hidden, 2 * self.intermediate),
                "down_proj": (self.intermediate, self.hidden),
            }
        return {
            "q_proj": (self.hidden, query),
            "k_proj": (self.hidden, keys),
            "v_proj": (self.hidden, keys),
            "o_proj": (query, self.hidden),
            "gate_proj": (self.hidden, self.intermediate),
            "up_proj": (self.hidden, self.intermediate),
            "down_proj": (self.intermediate, self.hidden),
        }


@dataclass(frozen=True)
class ParameterCounts:
    """Parameters by kind; `head` is 0 where it is the embedding."""

    decoder: int
    biases: int
    norms: int
    embedding: int
    head: int

    @property
    def total(self) -> int:
        return self.decoder + self.biases + self.norms + self.embedding + self.head


def parameter_counts(shape: ModelShape) -> ParameterCounts:
    """Count a model's parameters; `decoder` is the weights of the linears of all layers."""
    linears = shape.linears()
    norms = shape.hidden_norms * shape.hidden + shape.head_norms * shape.head_dim
    table = shape.vocab * shape.hidden
    return ParameterCounts(
        decoder=shape.layers * sum(inputs * outputs for inputs, outputs in linears.values()),
        biases=shape.layers * sum(linears[name][1] for name in shape.biased),
        norms=shape.layers * norms + shape.hidden,
        embedding=table,
        head=0 if shape.tied else table,
    )


def target_names(targets: str | Sequence[str]) -> tuple[str, ...]:
    """Return the linears that `targets` means: a group's name ("all-linear", "attention", "mlp") or a list of them.

    Raises:
        UsageError: no such group or linear.
    """
    if isinstance(targets, str):
        if targets in TARGETS:
            return TARGETS[targets]
        hint = did_you_mean(targets, TARGETS)
        raise UsageError(f"There is no target group '{targets}'.{hint}", f"Use one of {', '.join(TARGETS)}, or a list.")
    known = (*TARGETS["all-linear"], HEAD)
    for name in targets:
        if name not in known:
            raise UsageError(f"There is no linear '{name}'.{did_you_mean(name, known)}", f"Use {', '.join(known)}.")
    return tuple(dict.fromkeys(targets))


def adapter_parameters(
    shape: ModelShape, rank: int, targets: str | Sequence[str] = "all-linear", *, dora: bool = False
) -> int:
    """Count the parameters of LoRA's two matrices on `targets`: `rank * (inputs + outputs)` for each linear.

    Args:
        dora: add the magnitude of each output.

    Raises:
        UsageError: as `target_names`.
    """
    linears = {**shape.linears(), HEAD: (shape.hidden, shape.vocab)}
    names = target_names(targets)
    if not isinstance(targets, str) and (missing := [name for name in names if name not in linears]):
        raise UsageError(f"The model has no linear '{missing[0]}'.", f"Use {', '.join(linears)}, or 'all-linear'.")
    count = 0
    for name in names:
        if name in linears:
            inputs, outputs = linears[name]
            copies = 1 if name == HEAD else shape.layers
            count += copies * (rank * (inputs + outputs) + (outputs if dora else 0))
    return count


def block_parameters(shape: ModelShape) -> int:
    """Count the parameters of one layer, with its norms and biases."""
    linears = shape.linears()
    weights = sum(inputs * outputs for inputs, outputs in linears.values())
    biases = sum(linears[name][1] for name in shape.biased)
    return weights + biases + shape.hidden_norms * shape.hidden + shape.head_norms * shape.head_dim


def base_parameters(shape: ModelShape, kind: str, *, layers: int = 1, head: bool = False) -> int:
    """Count the weights of the base that train: the last `layers` and perhaps the head ("top-layer"), all ("full").

    A tied head is the embedding and counts as much. Any other `kind` trains none of them.
    """
    if kind == "full":
        return parameter_counts(shape).total
    if kind != "top-layer":
        return 0
    return min(layers, shape.layers) * block_parameters(shape) + (shape.vocab * shape.hidden if head else 0)


def trained_parameters(
    shape: ModelShape,
    kind: str,
    *,
    rank: int = 16,
    targets: str | Sequence[str] = "all-linear",
    dora: bool = False,
    layers: int = 1,
    head: bool = False,
) -> int:
    """Count what trains under `method.kind` = `kind`; the other values are the profile's `method`.

    Raises:
        UsageError: as `adapter_parameters`.
    """
    if kind in ("lora", "qlora"):
        return adapter_parameters(shape, rank, targets, dora=dora)
    return base_parameters(shape, kind, layers=layers, head=head)

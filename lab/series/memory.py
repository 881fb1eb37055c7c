"""An estimate of the memory that a training step peaks at, before anything is loaded: `lab plan` and the probe.

The formulas hold for transformers' own layers in bf16 under autocast with LoRA on all linears; they were counted in the
storages that live at each moment of real steps. Against packed steps of a 1B model on an H100 the total is within 10 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab.series.shapes import ModelShape, adapter_parameters, parameter_counts, target_names

DTYPE_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2}
# NF4: half a byte and one fp32 scale for 64 weights; doubly quantised the scale is one byte, and fp32 for 256 of those.
NF4_BYTES = 0.5 + 4 / 64
NF4_DOUBLE_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)
EIGHT_BIT_MOMENT = 1 + 4 / 256  # bytes: the moment and its share of one fp32 scale for 256 of them
FOUR_NORM_FACTOR = 1.19  # measured on Gemma 3, whose layers have twice the norms
# Bytes of logits that exist at once in a fused head: much at once makes fuller products, where states take more anyway.
SMALL_TILE, FUSED_TILE, FUSED_TILE_TOKENS = 256 << 20, 512 << 20, 8192
VALIDATION_TILE = 256 << 20  # bytes of logits and their log-softmax that exist at once in validation
VALIDATION_LOGIT_BYTES = 8  # of one logit: itself in fp32, and its log-softmax
CUDA_OVERHEAD = 1 << 30  # the context and the allocator's slack: torch does not count them as allocated


@dataclass(frozen=True)
class MemorySetup:
    """What decides the memory of a training step, in the profile's terms.

    Attributes:
        tokens: of one micro-step, padding included.
        supervised: tokens of it that have logits; None for all.
        validated: tokens that have logits in a validation batch, whose head is never fused but takes some at a time.
        rank: 0 for no adapter.
        base_trainable: parameters of the base that train (top-layer, full); they live in `adapter_dtype`.
        kept_layers: the last layers, of which something is kept; None for all. Below the first that trains nothing is.
        optimizer: as the recipe calls it; "8bit" in it packs the moments, "paged" keeps them where torch counts none.
        checkpoint_every: 0 keeps all activations, 1 recomputes every layer, n every n-th.
        fused_head: logits never exist as a whole.
        head_trains: the head's weight has a gradient, which a fused one makes beside that of the embedding.
        repeated_heads: keys and values are repeated for each query head before attention, as older kernels want it.
        cast_copies: PEFT casts the input of fp32 adapters.
        liger: fused SwiGLU and RMSNorm kernels.
        fused_lora: the lab's own projections, which keep each input once and make the gated product again.
        fused_block: norms are made again from what they read.
        gpu: adds what CUDA itself takes.
    """

    tokens: int
    supervised: int | None = None
    validated: int = 0
    rank: int = 16
    targets: str | Sequence[str] = "all-linear"
    dora: bool = False
    dropout: bool = False
    base_trainable: int = 0
    kept_layers: int | None = None
    optimizer: str = "adamw"
    dtype: str = "bf16"
    quantization: str = "none"
    double_quant: bool = False
    adapter_dtype: str = "fp32"
    checkpoint_every: int = 0
    fused_head: bool = True
    head_trains: bool = False
    repeated_heads: bool = False
    cast_copies: bool = True
    liger: bool = False
    fused_lora: bool = False
    fused_block: bool = False
    gpu: bool = True


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes by part.

    Attributes:
        trainable: what trains beside the loaded weights, with gradients, AdamW's moments and casts.
        activations: what is kept for the backward pass.
        temporary: what comes on top where most is in use: in the head, in the backward pass of a layer, or in a
            validation batch, whose logits come in the place of activations.
        overhead: what lies beside torch's own memory: CUDA's, and the moments of a paged optimiser.
    """

    weights: int
    trainable: int
    activations: int
    temporary: int
    overhead: int

    @property
    def allocated(self) -> int:
        """What torch itself counts as allocated at the peak."""
        return self.weights + self.trainable + self.activations + self.temporary

    @property
    def total(self) -> int:
        return self.allocated + self.overhead


def weight_bytes(
    shape: ModelShape, *, dtype: str = "bf16", quantization: str = "none", double_quant: bool = False
) -> int:
    """Return the bytes of the frozen weights; quantisation holds for the linears, the rest stays in `dtype`.

    Args:
        dtype: fp32, bf16 or fp16.
        quantization: none, nf4 or int8 (LLM.int8: one byte, and one fp32 scale for each output).
    """
    counts = parameter_counts(shape)
    rest = (counts.total - counts.decoder) * DTYPE_BYTES[dtype]
    if quantization == "nf4":
        return rest + round(counts.decoder * (NF4_DOUBLE_BYTES if double_quant else NF4_BYTES))
    if quantization == "int8":
        return rest + counts.decoder + 4 * shape.layers * sum(outputs for _, outputs in shape.linears().values())
    return rest + counts.decoder * DTYPE_BYTES[dtype]


def moment_bytes(optimizer: str, dtype: str) -> float:
    """Return the bytes of AdamW's two moments of one parameter."""
    return 2 * (EIGHT_BIT_MOMENT if "8bit" in optimizer else DTYPE_BYTES[dtype])


def trained_bytes(shape: ModelShape, setup: MemorySetup) -> tuple[int, int]:
    """Return what training takes beside the loaded weights: (what torch counts, what a paged optimiser has elsewhere).

    A trained weight of the base is brought to the adapters' type and counted once already, in its first one; under
    autocast its cast for the pass lives as long as what the layers keep.
    """
    adapters = adapter_parameters(shape, setup.rank, setup.targets, dora=setup.dora) if setup.rank else 0
    trained = adapters + setup.base_trainable
    moments = round(trained * moment_bytes(setup.optimizer, setup.adapter_dtype))
    counted = 2 * trained * DTYPE_BYTES[setup.adapter_dtype]
    if setup.adapter_dtype == setup.dtype:
        counted -= setup.base_trainable * DTYPE_BYTES[setup.dtype]
    paged = "paged" in setup.optimizer
    return counted + (0 if paged else moments), moments if paged else 0


def fused_bytes_per_token(shape: ModelShape, setup: MemorySetup) -> int:
    """Return what one layer keeps of one token with fused projections, norms and attention, in bf16.

    Gate and up, the input of each norm and of each group of projections, queries, keys, values and what attention makes
    of them, and the adapters' inner states. Norms of heads keep what they read besides.
    """
    normed = 0 if setup.fused_block else 2
    kept = 4 * shape.intermediate + 2 * (shape.hidden_norms + normed) * shape.hidden
    kept += (6 if shape.head_norms else 4) * (shape.heads + shape.kv_heads) * shape.head_dim
    if setup.repeated_heads:
        kept += 4 * (shape.heads - shape.kv_heads) * shape.head_dim
    return kept + 4 * shape.heads + 14 * setup.rank + 4 * shape.hidden_norms


def layer_bytes_per_token(shape: ModelShape, setup: MemorySetup) -> float:
    """Return the bytes that one layer keeps of one token for its backward pass.

    `8 I + 12 H + 4 h d + 4 h_kv d + 4 h + 14 r + 8`; casting the adapters' inputs keeps `8 H` more, Liger's kernels
    `2 I + 4 H` less, dropout a mask of one byte for each input of an adapter, and DoRA, which scales them, two
    copies of each output. Twice that in fp32, an upper bound.
    """
    if setup.fused_lora:
        return fused_bytes_per_token(shape, setup)
    kept = 8 * shape.intermediate + 12 * shape.hidden + 4 * (shape.heads + shape.kv_heads) * shape.head_dim
    kept += 4 * shape.heads + 14 * setup.rank + 8
    if setup.liger:
        kept -= 2 * shape.intermediate + 4 * shape.hidden
    if setup.repeated_heads:
        kept += 4 * (shape.heads - shape.kv_heads) * shape.head_dim
    total = kept * (FOUR_NORM_FACTOR if shape.hidden_norms > 2 else 1.0)
    if setup.rank and setup.cast_copies and setup.adapter_dtype == "fp32" and setup.dtype != "fp32":
        total += 8 * shape.hidden
    if setup.rank and setup.dropout:
        linears = shape.linears()
        total += sum(linears[name][0] for name in target_names(setup.targets) if name in linears)
    if setup.rank and setup.dora:
        linears = shape.linears()
        total += 4 * sum(linears[name][1] for name in target_names(setup.targets) if name in linears)
    return total * (2 if setup.dtype == "fp32" else 1)


def activation_bytes(shape: ModelShape, setup: MemorySetup) -> int:
    """Return the bytes that the layers keep; a checkpointed one keeps its input alone."""
    layers = shape.layers if setup.kept_layers is None else min(setup.kept_layers, shape.layers)
    checkpointed = -(-layers // setup.checkpoint_every) if setup.checkpoint_every else 0
    inputs = checkpointed * shape.hidden * DTYPE_BYTES[setup.dtype]
    return round(setup.tokens * (inputs + (layers - checkpointed) * layer_bytes_per_token(shape, setup)))


def backward_bytes(shape: ModelShape, setup: MemorySetup) -> int:
    """Return what the backward pass of one layer takes for a while: the gradients of its MLP, one unpacked matrix, and,
    where all are checkpointed, all that it keeps; where only some are, that is less than what others have let go of.
    PEFT's DoRA multiplies its matrices out to norm them, in each forward pass: three of the size of the weight. Fused
    projections have gate and up as one matrix, and for DoRA's magnitudes twice its size in sums over the tokens.
    """
    width = DTYPE_BYTES[setup.dtype]
    passing = width * (2 * shape.intermediate + shape.hidden)
    recomputed = layer_bytes_per_token(shape, setup) if setup.checkpoint_every == 1 else 0
    largest = max(inputs * outputs for inputs, outputs in shape.linears().values())
    if setup.fused_lora:
        largest = max(largest, 2 * shape.intermediate * shape.hidden)
    unpacked = 0 if setup.quantization == "none" else largest * width
    norms = (2 * width if setup.fused_lora else 3 * DTYPE_BYTES[setup.adapter_dtype]) * largest
    norms = norms if setup.rank and setup.dora else 0
    return round(setup.tokens * (passing + recomputed)) + unpacked + norms


def tile_bytes(tokens: int) -> int:
    """Return the bytes of logits that a fused head may hold at once."""
    return FUSED_TILE if tokens >= FUSED_TILE_TOKENS else SMALL_TILE


def head_bytes(shape: ModelShape, tokens: int, *, fused: bool = True) -> int:
    """Return the peak bytes of head and loss for tokens with logits, beside what the layers keep.

    Plain: the logits in fp32, their log-softmax and its gradient, 12 bytes a logit. Fused: one bf16 tile of logits, and
    two rows of fp32 states.
    """
    states = 8 * tokens * shape.hidden
    return states + (min(tile_bytes(tokens), 2 * tokens * shape.vocab) if fused else 12 * tokens * shape.vocab)


def estimate(shape: ModelShape, setup: MemorySetup) -> MemoryEstimate:
    """Return the memory that a training step of `setup` peaks at.

    Raises:
        UsageError: unknown targets.
    """
    trainable, paged = trained_bytes(shape, setup)
    supervised = setup.tokens if setup.supervised is None else setup.supervised
    head = head_bytes(shape, supervised, fused=setup.fused_head)
    if setup.fused_head and setup.head_trains:
        head += shape.vocab * shape.hidden * (DTYPE_BYTES[setup.adapter_dtype] + DTYPE_BYTES[setup.dtype])
    kept = activation_bytes(shape, setup)
    validation = min(VALIDATION_TILE, VALIDATION_LOGIT_BYTES * setup.validated * shape.vocab)
    return MemoryEstimate(
        weights=weight_bytes(
            shape, dtype=setup.dtype, quantization=setup.quantization, double_quant=setup.double_quant
        ),
        trainable=trainable,
        activations=kept,
        temporary=max(head, backward_bytes(shape, setup), validation - kept) if setup.tokens else 0,
        overhead=(CUDA_OVERHEAD if setup.gpu else 0) + paged,
    )

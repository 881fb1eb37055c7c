"""Parameters and memory of a run, estimated before its weights are loaded. Called by the plan and the probe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import psutil

from lab.data.masks import Encoded
from lab.errors import UsageError
from lab.modeling.hardware import Hardware
from lab.profile.schema import Profile
from lab.series.families import shape_from_config
from lab.series.memory import MemoryEstimate, MemorySetup, estimate
from lab.series.shapes import ModelShape, base_parameters, parameter_counts, trained_parameters
from lab.telemetry.limits import usable_bytes
from lab.training.recipe import Recipe

ADAPTERS = ("lora", "qlora")


def trains(profile: Profile) -> bool:
    return profile.method.kind != "baseline"


def sizes_of(
    profile: Profile,
    hardware: Hardware,
    recipe: Recipe,
    train: Sequence[Encoded],
    validation: Sequence[Encoded],
    config: dict[str, Any],
) -> dict[str, Any]:
    """Return parameters and memory; None with a reason for a model whose shape is not known here.

    Raises:
        UsageError: targets that a model of known shape lacks.
    """
    try:
        shape = shape_from_config(config)
    except UsageError as error:
        return {"parameters": None, "memory": None, "unknown_size": error.problem}
    memory = memory_of(profile, recipe, train, validation, shape)
    trainable = trainable_of(profile, shape)
    total = parameter_counts(shape).total
    parameters = {"total": total, "trainable": trainable, "share": trainable / total}
    there = hardware.memory_bytes if hardware.kind == "cuda" else usable_bytes()
    parts = {
        **asdict(memory),
        "allocated": memory.allocated,
        "total": memory.total,
        "device_bytes": there,
        "fits": memory.total <= there,
        # Counted on GPUs: on a CPU attention keeps more, and freed memory is not all given back.
        "at_least": hardware.kind == "cpu",
    }
    return {"parameters": parameters, "memory": parts, "unknown_size": None}


def trainable_of(profile: Profile, shape: ModelShape) -> int:
    """Return the parameters that train. Raises UsageError for targets that the model lacks."""
    method = profile.method
    return trained_parameters(
        shape,
        method.kind,
        rank=method.rank,
        targets=method.target_modules,
        dora=method.variant == "dora",
        layers=method.layers,
        head=method.head,
    )


def memory_of(
    profile: Profile, recipe: Recipe, train: Sequence[Encoded], validation: Sequence[Encoded], shape: ModelShape
) -> MemoryEstimate:
    """Estimate the peak of a training step: its largest micro-batch, with logits for supervised tokens alone.

    For a baseline it is the weights and what lies around them. On a CPU the overhead is measured: what this process,
    with the libraries that a worker loads, takes now.

    Raises:
        UsageError: targets that the model lacks.
    """
    method, adapts = profile.method, profile.method.kind in ADAPTERS
    tokens, supervised = _micro_batch(profile, recipe, train) if trains(profile) else (0, 0)
    repeats = repeats_heads(recipe.attention.value) and recipe.short_attention.value == "off"
    gpu, fused = recipe.device.value == "cuda", recipe.fused_lora.value == "on"
    setup = MemorySetup(
        tokens=tokens,
        supervised=supervised,
        validated=_validated(profile, recipe, validation),
        rank=method.rank if adapts else 0,
        targets=method.target_modules,
        dora=method.variant == "dora",
        dropout=method.dropout > 0,
        base_trainable=base_parameters(shape, method.kind, layers=method.layers, head=method.head),
        kept_layers=kept_layers(profile, shape),
        optimizer=str(recipe.optimizer.value),
        dtype=recipe.dtype.value,
        quantization=recipe.quantization.value,
        double_quant=profile.model.double_quant,
        adapter_dtype=recipe.adapter_dtype.value,
        checkpoint_every=recipe.checkpoint_every,
        fused_head=recipe.fused_head.value == "on",
        head_trains=method.kind == "full" or method.head,
        # Of the fused projections, those without norms of heads bring an attention that takes fewer key heads.
        repeated_heads=gpu and not (fused and not shape.head_norms) and repeats,
        fused_lora=fused,
        fused_block=fused and recipe.fused_block.value == "on",
        cast_copies=not recipe.autocast.value,  # the trainer turns the casts off under autocast
        liger=recipe.kernels.value == "liger",
        gpu=gpu,
    )
    whole = estimate(shape, setup)
    return whole if gpu else replace(whole, overhead=whole.overhead + int(psutil.Process().memory_info().rss))


def kept_layers(profile: Profile, shape: ModelShape) -> int | None:
    """Return of how many layers something is kept for the backward pass, which ends where nothing below trains.

    A tied head is the embedding, which lies below them all. None stands for all layers.
    """
    method = profile.method
    whole = method.kind != "top-layer" or (method.head and shape.tied)
    return None if whole else method.layers


def repeats_heads(attention: str) -> bool:
    """Tell whether keys and values are repeated for each query head: by SDPA under a mask, by older torch's varlen."""
    from lab.modeling.fast.varlen import serves_groups

    return attention == "sdpa" or (attention == "varlen" and not serves_groups())


def _validated(profile: Profile, recipe: Recipe, rows: Sequence[Encoded]) -> int:
    """Return the most supervised tokens that a validation batch holds."""
    from lab.training.batches import Batcher, layout_of, validation_layout

    if not profile.train.eval_every or not rows:
        return 0
    ordered = sorted(rows, key=lambda row: -len(row.input_ids))
    counts = [row.supervised for row in ordered]
    batcher = Batcher(validation_layout(layout_of(recipe, 0)))
    return max(sum(counts[place] for place in part) for part in batcher.split(ordered))


def _micro_batch(profile: Profile, recipe: Recipe, train: Sequence[Encoded]) -> tuple[int, int]:
    """Return the tokens that the largest micro-batch computes, padding included, and how many supervised ones."""
    if train and (recipe.batching.value == "packed" or profile.train.tokens_per_step):
        return _batch_of_steps(profile, recipe, train)
    rows = min(recipe.micro_batch.value, len(train))
    supervised = sum(sorted((row.supervised for row in train), reverse=True)[:rows])
    return _padded_tokens(recipe, train, rows), supervised


def _batch_of_steps(profile: Profile, recipe: Recipe, train: Sequence[Encoded]) -> tuple[int, int]:
    from lab.training.batches import Batcher, layout_of, longest_part
    from lab.training.sampler import StepSize, epoch_steps

    steps = epoch_steps([len(row.input_ids) for row in train], StepSize.of(profile.train), profile.train.seed, 0)
    batcher = Batcher(layout_of(recipe, 0))
    largest = longest_part(train, steps, batcher)
    return batcher.cost(largest), sum(row.supervised for row in largest)


def _padded_tokens(recipe: Recipe, train: Sequence[Encoded], rows: int) -> int:
    """Return the tokens that a micro-batch of the longest rows computes, padding included."""
    from lab.modeling.loss import supervised_prefix

    longest = max((len(row.input_ids) for row in train), default=0)
    if not rows or not train or not recipe.shared_prefix.value:
        return rows * longest
    shared = supervised_prefix([row.input_ids for row in train], [row.labels for row in train])
    return rows * longest - (rows - 1) * shared

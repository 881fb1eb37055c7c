"""What a run would do, before anything of weight is loaded: data, recipe, steps, memory. `lab plan` prints it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

import psutil

from lab.data.masks import Encoded
from lab.data.prepare import Prepared, prepare
from lab.data.report import GateError
from lab.errors import UsageError
from lab.modeling.hardware import Hardware
from lab.modeling.load import load_config, load_tokenizer
from lab.modeling.prefix import can_share
from lab.modeling.source import resolve_model
from lab.profile.load import Resolved
from lab.profile.schema import Profile
from lab.series.families import shape_from_config
from lab.series.memory import MemoryEstimate, MemorySetup, estimate
from lab.series.shapes import ModelShape, adapter_parameters, parameter_counts
from lab.telemetry.limits import usable_bytes
from lab.training.device import hardware_for
from lab.training.recipe import Recipe, decide

TRAINING = ("lora", "qlora")


def plan(resolved: Resolved, progress: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """Return the plan of a run as plain data; what cannot be told is None, with the reason beside it.

    Of the model only configuration and tokenizer are read; a bundled one is fetched and converted first.

    Args:
        progress: gets a line when something that takes time begins.

    Raises:
        LabError: what the worker would fail with before it loads weights, but for data that is not fit to train on:
            that is told under "refused", beside the data report.
    """
    profile = resolved.profile
    hardware = hardware_for(profile)
    source = resolve_model(profile.model.name, profile.model.revision, progress)
    about = {
        "profile": resolved.name,
        "hash": resolved.hash,
        "method": profile.method.kind,
        "model": {"label": source.label, "kind": source.kind, "commit": source.commit},
        "refused": None,
    }
    tokenizer = load_tokenizer(source, trust_remote_code=profile.model.trust_remote_code)
    progress("reading data")
    try:
        prepared = prepare(profile, tokenizer)
    except GateError as error:
        refused = {"problem": error.problem, "remedy": error.remedy}
        return {**about, "data": error.report, "refused": refused}
    config = load_config(source, trust_remote_code=profile.model.trust_remote_code)
    lengths = [len(row.input_ids) for row in prepared.train]
    recipe = decide(profile, hardware, lengths, sharable=can_share(config), config=config)
    return {
        **about,
        "data": prepared.report,
        "recipe": recipe.as_json()["choices"],
        "steps": steps_of(profile, prepared),
        **sizes_of(profile, hardware, recipe, prepared, config.to_dict()),
    }


def steps_of(profile: Profile, prepared: Prepared) -> dict[str, Any] | None:
    """Return how training is cut into steps; None for a baseline."""
    if profile.method.kind not in TRAINING:
        return None
    from lab.training.recipe import epoch_steps_in, epochs_in, steps_in

    lengths, train = [len(row.input_ids) for row in prepared.train], profile.train
    total, epochs = steps_in(profile, lengths), epochs_in(profile, lengths)
    return {
        "total": total,
        "per_epoch": epoch_steps_in(profile, lengths),
        "epochs": epochs,
        "warmup": round(train.warmup_ratio * total),
        "validations": total // train.eval_every if train.eval_every and prepared.validation else 0,
        "tokens": round(prepared.report["splits"]["train"]["tokens"] * epochs),
    }


def sizes_of(
    profile: Profile, hardware: Hardware, recipe: Recipe, prepared: Prepared, config: dict[str, Any]
) -> dict[str, Any]:
    """Return parameters and memory; None with a reason for a model whose shape is not known here."""
    try:
        shape = shape_from_config(config)
        memory = memory_of(profile, recipe, prepared, shape)
        trained = adapter_parameters(shape, profile.method.rank, profile.method.target_modules)
    except UsageError as error:
        return {"parameters": None, "memory": None, "unknown_size": error.problem}
    total = parameter_counts(shape).total
    trainable = trained if profile.method.kind in TRAINING else 0
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


def memory_of(profile: Profile, recipe: Recipe, prepared: Prepared, shape: ModelShape) -> MemoryEstimate:
    """Estimate the peak of a training step: its largest micro-batch, with logits for supervised tokens alone.

    For a baseline it is the weights and what lies around them. On a CPU the overhead is measured: what this process,
    with the libraries that a worker loads, takes now.
    """
    trains = profile.method.kind in TRAINING
    tokens, supervised = _micro_batch(profile, recipe, prepared.train) if trains else (0, 0)
    gpu, fused = recipe.device.value == "cuda", recipe.fused_lora.value == "on"
    setup = MemorySetup(
        tokens=tokens,
        supervised=supervised,
        validated=_validated(profile, recipe, prepared.validation),
        rank=profile.method.rank if trains else 0,
        targets=profile.method.target_modules,
        dropout=profile.method.dropout > 0,
        dtype=recipe.dtype.value,
        quantization=recipe.quantization.value,
        double_quant=profile.model.double_quant,
        adapter_dtype=recipe.adapter_dtype.value,
        checkpoint_every=recipe.checkpoint_every,
        fused_head=recipe.fused_head.value == "on",
        # Of the fused projections, those without norms of heads bring an attention that takes fewer key heads.
        repeated_heads=gpu and not (fused and not shape.head_norms) and repeats_heads(recipe.attention.value),
        fused_lora=fused,
        cast_copies=not recipe.autocast.value,  # the trainer turns the casts off under autocast
        liger=recipe.kernels.value == "liger",
        gpu=gpu,
    )
    whole = estimate(shape, setup)
    return whole if gpu else replace(whole, overhead=int(psutil.Process().memory_info().rss))


def _validated(profile: Profile, recipe: Recipe, rows: Sequence[Encoded]) -> int:
    """Return the most supervised tokens that a validation batch holds."""
    from lab.training.batches import Batcher, layout_of

    if not profile.train.eval_every or not rows:
        return 0
    ordered = sorted(rows, key=lambda row: -len(row.input_ids))
    counts = [row.supervised for row in ordered]
    return max(sum(counts[place] for place in part) for part in Batcher(layout_of(recipe, 0)).split(ordered))


def repeats_heads(attention: str) -> bool:
    """Tell whether keys and values are repeated for each query head: by SDPA under a mask, by older torch's varlen."""
    from lab.modeling.fast.varlen import serves_groups

    return attention == "sdpa" or (attention == "varlen" and not serves_groups())


def _micro_batch(profile: Profile, recipe: Recipe, train: Sequence[Encoded]) -> tuple[int, int]:
    """Return the tokens that the largest micro-batch computes, padding included, and how many supervised ones."""
    if recipe.batching.value == "packed" and train:
        return _packed_batch(profile, recipe, train)
    rows = recipe.micro_batch.value
    supervised = sum(sorted((row.supervised for row in train), reverse=True)[:rows])
    return _padded_tokens(recipe, train, rows), supervised


def _packed_batch(profile: Profile, recipe: Recipe, train: Sequence[Encoded]) -> tuple[int, int]:
    from lab.training.batches import Batcher, layout_of, longest_part
    from lab.training.sampler import StepSize, epoch_steps

    steps = epoch_steps([len(row.input_ids) for row in train], StepSize.of(profile.train), profile.train.seed, 0)
    largest = longest_part(train, steps, Batcher(layout_of(recipe, 0)))
    return sum(len(row.input_ids) for row in largest), sum(row.supervised for row in largest)


def _padded_tokens(recipe: Recipe, train: Sequence[Encoded], rows: int) -> int:
    """Return the tokens that a micro-batch of the longest rows computes, padding included."""
    from lab.modeling.loss import supervised_prefix

    longest = max((len(row.input_ids) for row in train), default=0)
    if not rows or not train or not recipe.shared_prefix.value:
        return rows * longest
    shared = supervised_prefix([row.input_ids for row in train], [row.labels for row in train])
    return rows * longest - (rows - 1) * shared

"""What a run would do, before anything of weight is loaded: data, recipe, steps, memory. `lab plan` prints it."""

from __future__ import annotations

import math
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
from lab.series.memory import MemoryEstimate, MemorySetup, estimate, head_bytes
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
    recipe = decide(profile, hardware, [len(row.input_ids) for row in prepared.train], sharable=can_share(config))
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
    from lab.training.recipe import steps_in

    rows, train = len(prepared.train), profile.train
    total, epoch = steps_in(profile, rows), math.ceil(rows / train.examples_per_step)
    return {
        "total": total,
        "per_epoch": epoch,
        "epochs": total / epoch,
        "warmup": round(train.warmup_ratio * total),
        "validations": total // train.eval_every if train.eval_every and prepared.validation else 0,
        "tokens": round(prepared.report["splits"]["train"]["tokens"] * total / epoch),
    }


def sizes_of(
    profile: Profile, hardware: Hardware, recipe: Recipe, prepared: Prepared, config: dict[str, Any]
) -> dict[str, Any]:
    """Return parameters and memory; None with a reason for a model whose shape is not known here."""
    try:
        shape = shape_from_config(config)
        memory = memory_of(profile, hardware, recipe, prepared, shape)
        trained = adapter_parameters(shape, profile.method.rank, profile.method.target_modules)
    except UsageError as error:
        return {"parameters": None, "memory": None, "unknown_size": error.problem}
    total = parameter_counts(shape).total
    trainable = trained if profile.method.kind in TRAINING else 0
    parameters = {"total": total, "trainable": trainable, "share": trainable / total}
    there = hardware.memory_bytes if hardware.kind == "cuda" else usable_bytes()
    parts = {
        **asdict(memory),
        "total": memory.total,
        "device_bytes": there,
        "fits": memory.total <= there,
        # Counted on GPUs: on a CPU attention keeps more, and freed memory is not all given back.
        "at_least": hardware.kind == "cpu",
    }
    return {"parameters": parameters, "memory": parts, "unknown_size": None}


def memory_of(
    profile: Profile, hardware: Hardware, recipe: Recipe, prepared: Prepared, shape: ModelShape
) -> MemoryEstimate:
    """Estimate the peak of a training step: its largest micro-batch, with logits for supervised tokens alone.

    For a baseline it is the weights and what lies around them. On a CPU the overhead is measured: what this process,
    with the libraries that a worker loads, takes now.
    """
    trains = profile.method.kind in TRAINING
    rows = recipe.micro_batch.value if trains else 0
    setup = MemorySetup(
        tokens=_step_tokens(recipe, prepared.train, rows),
        rank=profile.method.rank if trains else 0,
        targets=profile.method.target_modules,
        dropout=profile.method.dropout > 0,
        dtype=recipe.dtype.value,
        quantization=recipe.quantization.value,
        double_quant=profile.model.double_quant,
        adapter_dtype=recipe.adapter_dtype.value,
        checkpoint_every=0 if recipe.checkpointing.value == "off" else 1,
        cast_copies=not recipe.autocast.value,  # the trainer turns the casts off under autocast
        gpu=hardware.kind == "cuda",
    )
    whole = estimate(shape, setup)
    supervised = sum(sorted((row.supervised for row in prepared.train), reverse=True)[:rows])
    overhead = whole.overhead if setup.gpu else int(psutil.Process().memory_info().rss)
    return replace(whole, head=head_bytes(shape, supervised, fused=False), overhead=overhead)


def _step_tokens(recipe: Recipe, train: Sequence[Encoded], rows: int) -> int:
    """Return the tokens that a micro-batch of the longest rows computes, padding included."""
    from lab.modeling.loss import supervised_prefix

    longest = max((len(row.input_ids) for row in train), default=0)
    if not rows or not train or not recipe.shared_prefix.value:
        return rows * longest
    shared = supervised_prefix([row.input_ids for row in train], [row.labels for row in train])
    return rows * longest - (rows - 1) * shared

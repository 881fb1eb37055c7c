"""One timed training of the throughput benchmark: by the lab's trainer, or by the studies' own recipe."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase, TrainerCallback

from lab.bench.clock import Clock, Window
from lab.bench.workload import Workload, random_rows
from lab.modeling.choice import Choice
from lab.modeling.fast.choose import FAST
from lab.modeling.hardware import Hardware, detect
from lab.modeling.load import load_base, load_config, load_tokenizer
from lab.modeling.loss import causal_model
from lab.modeling.methods import METHODS
from lab.modeling.source import ModelSource, resolve_model
from lab.profile.schema import Profile
from lab.training.recipe import Recipe, decide
from lab.training.sampler import StepSampler, StepSize
from lab.training.settings import trainer_settings
from lab.training.trainer import LabTrainer

SHOWN = ("attention", "batching", "micro_tokens", "kernels", "checkpointing", "optimizer")
PLAIN_ROWS, PLAIN_PASSES = 4, 4
PLAIN_WARM, PLAIN_TIMED = 3, 10
PLAIN_DROPOUT = 0.05


@dataclass(frozen=True)
class Trial:
    """What one timed training did.

    Attributes:
        tokens, steps: real tokens and optimiser steps while the clock ran.
        config: the configuration of the model as it was trained.
    """

    window: Window
    tokens: int
    steps: int
    loss: float
    device: str
    config: Mapping[str, Any]
    recipe: dict[str, Any]


def trial(profile: Profile, lengths: Sequence[int], size: Workload, device: str, off: Mapping[str, str]) -> Trial:
    """Train with the lab's trainer.

    Args:
        off: choices of the recipe that are set from outside, by their names.
    """
    clock = Clock(size.warm, device)
    with tempfile.TemporaryDirectory(prefix="lab-trial-") as folder:
        trainer = build_trainer(profile, lengths, device, off, folder, [clock])
        trainer.train()
    measured, recipe = trainer.measured, trainer.recipe
    assert measured is not None
    steps = list(StepSampler(lengths, StepSize.of(profile.train), profile.train.seed, size.warm + size.timed))
    tokens = sum(lengths[row] for step in steps[size.warm :] for row in step)
    chosen = {name: getattr(recipe, name).value for name in (*SHOWN, *FAST)}
    config = causal_model(trainer.model).config.to_dict()
    return Trial(clock.window(), tokens, size.timed, measured.loss, str(recipe.device.why), config, chosen)


def build_trainer(
    profile: Profile,
    lengths: Sequence[int],
    device: str,
    off: Mapping[str, str],
    folder: str,
    callbacks: list[TrainerCallback],
) -> LabTrainer:
    """Return the lab's trainer on random rows of these lengths, saving nothing.

    Args:
        off: as in `trial`.
        folder: for what transformers insists on having a folder for.
    """
    hardware = detect(device, profile.train.threads)
    source = resolve_model(profile.model.name)
    config, tokenizer = load_config(source), load_tokenizer(source)
    recipe = decide(profile, hardware, lengths, sharable=False, config=config)
    recipe = replace(recipe, **{name: Choice(value, "--without") for name, value in off.items()})
    rows = random_rows(list(lengths), config.get_text_config().vocab_size)
    model = METHODS[profile.method.kind](_base(source, profile, recipe, hardware), profile.method, profile.train.seed)
    settings = trainer_settings(profile, recipe, folder, rows, validates=False)
    settings.save_strategy = "no"
    return LabTrainer(model, settings, recipe, tokenizer, rows, [], callbacks)


def _base(source: ModelSource, profile: Profile, recipe: Recipe, hardware: Hardware) -> Any:
    return load_base(
        source,
        device=hardware.kind,
        dtype=recipe.dtype.value,
        quantization=recipe.quantization.value,
        double_quant=profile.model.double_quant,
        attention=recipe.load_attention,
    )


def plain_trial(profile: Profile, lengths: Sequence[int], size: Workload, device: str, off: Mapping[str, str]) -> Trial:
    """Train as the studies did: transformers' Trainer, 4 x 4 padded rows, full logits, dropout before adapters, SDPA.

    Few steps are timed whatever `size` says, because each takes long. `off` has nothing to switch.
    """
    from transformers import PrinterCallback, Trainer, TrainingArguments

    hardware = detect(device)
    source = resolve_model(profile.model.name)
    config, tokenizer = load_config(source), load_tokenizer(source)
    rows = random_rows(list(lengths), config.get_text_config().vocab_size)
    model = _plain_model(source, profile, device)
    clock, quantised = Clock(PLAIN_WARM, device), profile.quantization != "none"
    counted = _Counted(tokenizer)
    clock_steps = PLAIN_WARM + PLAIN_TIMED
    with tempfile.TemporaryDirectory(prefix="lab-trial-") as folder:
        arguments = TrainingArguments(
            folder,
            per_device_train_batch_size=PLAIN_ROWS,
            gradient_accumulation_steps=PLAIN_PASSES,
            max_steps=clock_steps,
            learning_rate=profile.train.learning_rate,
            lr_scheduler_type="cosine",
            bf16=device == "cuda",
            use_cpu=device == "cpu",
            optim="paged_adamw_8bit" if quantised and device == "cuda" else "adamw_torch",
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            seed=profile.train.seed,
        )
        data = [{"input_ids": row.input_ids} for row in rows]
        trainer = Trainer(model=model, args=arguments, train_dataset=data, data_collator=counted, callbacks=[clock])
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    batches = counted.tokens[PLAIN_WARM * PLAIN_PASSES : clock_steps * PLAIN_PASSES]
    recipe = {"attention": "sdpa", "batching": f"{PLAIN_PASSES} x {PLAIN_ROWS} padded rows"}
    return Trial(clock.window(), sum(batches), PLAIN_TIMED, losses[-1], hardware.name, config.to_dict(), recipe)


def _plain_model(source: ModelSource, profile: Profile, device: str) -> Any:
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    quantised, full = profile.quantization != "none", profile.method.kind == "full"
    dtype = "bf16" if device == "cuda" and not full else "fp32"
    options: dict[str, Any] = {"device": device, "dtype": dtype, "double_quant": quantised}
    model = load_base(source, quantization=profile.quantization, attention="sdpa", **options)
    if full:
        return model.requires_grad_(True)
    if quantised:
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    adapters = LoraConfig(
        r=profile.method.rank,
        lora_alpha=profile.method.alpha,
        lora_dropout=PLAIN_DROPOUT,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, adapters)


class _Counted:
    """Pads rows to the longest, and counts the real tokens of each batch."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.pad = tokenizer.pad_token_id
        self.tokens: list[int] = []

    def __call__(self, rows: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        longest = max(len(row["input_ids"]) for row in rows)
        ids = torch.full((len(rows), longest), self.pad)
        labels, mask = torch.full_like(ids, -100), torch.zeros_like(ids)
        for index, row in enumerate(rows):
            length = len(row["input_ids"])
            ids[index, :length] = labels[index, :length] = torch.tensor(row["input_ids"])
            mask[index, :length] = 1
        self.tokens.append(int(mask.sum()))
        return {"input_ids": ids, "labels": labels, "attention_mask": mask}

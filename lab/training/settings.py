"""What TRL is told, by profile and recipe. Called by whoever makes a trainer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trl import SFTConfig

from lab.data.masks import Encoded
from lab.profile.schema import Profile
from lab.training.recipe import Recipe, steps_in


@dataclass
class Settings(SFTConfig):
    """TRL's configuration and the size of a step.

    Attributes:
        step_examples, step_tokens: as `StepSize`.
    """

    step_examples: int = 1
    step_tokens: int = 0


def checkpointing_options(recipe: Recipe) -> dict[str, Any]:
    """Return what transformers is told about activation checkpointing: every which block, and whether it may draw.

    The fused projections serve no model that drops anything out, nor do CUDA graphs. Then the generators' states need
    no keeping, for which each block would ask the device; a step that asks cannot be a CUDA graph.
    """
    draws = recipe.fused_head.value == "off" or recipe.fused_lora.value == recipe.cuda_graph.value == "off"
    return {"use_reentrant": False, "preserve_rng_state": draws, "every_n_layers": max(1, recipe.checkpoint_every)}


def trainer_settings(
    profile: Profile, recipe: Recipe, folder: str, rows: Sequence[Encoded], *, validates: bool
) -> Settings:
    """Return TRL's configuration: everything that would write, report or pick on its own account is off.

    Args:
        folder: for checkpoints.
        rows: that are trained on.
        validates: there are validation rows.
    """
    train = profile.train
    total_steps = steps_in(profile, [len(row.input_ids) for row in rows])
    eval_every = train.eval_every if validates else 0
    return Settings(
        output_dir=folder,
        max_steps=total_steps,
        step_examples=train.examples_per_step,
        step_tokens=train.tokens_per_step,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=1,
        learning_rate=train.learning_rate,
        lr_scheduler_type=train.scheduler,
        warmup_steps=round(train.warmup_ratio * total_steps),
        weight_decay=train.weight_decay,
        max_grad_norm=train.max_grad_norm,
        optim=recipe.optimizer.value,
        seed=train.seed,
        data_seed=train.seed,
        bf16=False,
        fp16=recipe.loss_scaling.value,
        use_cpu=recipe.device.value == "cpu",
        activation_checkpointing=recipe.checkpointing.value != "off",
        activation_checkpointing_kwargs=checkpointing_options(recipe),
        logging_strategy="no",
        logging_nan_inf_filter=False,
        save_strategy="steps" if train.save_every else "no",
        save_steps=train.save_every or 1,
        save_total_limit=2,
        eval_strategy="steps" if eval_every else "no",
        eval_steps=eval_every or 1,
        report_to="none",
        disable_tqdm=True,
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        remove_unused_columns=False,
        include_num_input_tokens_seen="no",
    )

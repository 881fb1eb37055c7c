"""TRL's SFTTrainer with the lab's order of rows, loss and precision. Called by `training.fit`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from datasets import Dataset
from peft import PeftModel
from peft.helpers import disable_input_dtype_casting
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase, PrinterCallback, TrainerCallback
from trl import SFTConfig, SFTTrainer

from lab.data.masks import Encoded
from lab.data.prepare import Prepared
from lab.modeling.load import torch_dtype
from lab.modeling.loss import IGNORED, supervised_nll, supervised_prefix
from lab.modeling.methods import cast_trainable
from lab.profile.schema import Profile
from lab.training.recipe import Recipe, steps_in
from lab.training.sampler import StepSampler


@dataclass(frozen=True)
class StepCounts:
    """What went into a batch or a step: real tokens (padding left out), supervised tokens, rows."""

    tokens: int = 0
    supervised: int = 0
    examples: int = 0

    def __add__(self, other: StepCounts) -> StepCounts:
        return StepCounts(
            self.tokens + other.tokens, self.supervised + other.supervised, self.examples + other.examples
        )


def row_dataset(rows: list[Encoded]) -> Dataset:
    """Return prepared rows as the table that SFTTrainer insists on."""
    return Dataset.from_dict({"input_ids": [r.input_ids for r in rows], "labels": [r.labels for r in rows]})


class Collator:
    """Pads rows on the right; counts their tokens and finds what they share before anything is on a GPU."""

    def __init__(self, pad_token_id: int, *, share: bool) -> None:
        self.pad_token_id = pad_token_id
        self.share = share

    def __call__(self, rows: list[dict[str, list[int]]]) -> dict[str, Any]:
        longest = max(len(row["input_ids"]) for row in rows)
        ids = torch.full((len(rows), longest), self.pad_token_id)
        labels = torch.full((len(rows), longest), IGNORED)
        mask = torch.zeros((len(rows), longest), dtype=torch.long)
        for index, row in enumerate(rows):
            length = len(row["input_ids"])
            ids[index, :length] = torch.tensor(row["input_ids"])
            labels[index, :length] = torch.tensor(row["labels"])
            mask[index, :length] = 1
        counts = StepCounts(int(mask.sum()), int((labels != IGNORED).sum()), len(rows))
        prefix = self._prefix(rows) if self.share else 0
        return {"input_ids": ids, "labels": labels, "attention_mask": mask, "counts": counts, "prefix": prefix}

    def _prefix(self, rows: list[dict[str, list[int]]]) -> int:
        return supervised_prefix([row["input_ids"] for row in rows], [row["labels"] for row in rows])


def trainer_settings(profile: Profile, recipe: Recipe, folder: str, prepared: Prepared) -> SFTConfig:
    """Return TRL's configuration: everything that would write, report or pick on its own account is off."""
    train = profile.train
    total_steps = steps_in(profile, len(prepared.train))
    eval_every = train.eval_every if prepared.validation else 0
    checkpointing = recipe.checkpointing.value != "off"
    return SFTConfig(
        output_dir=folder,
        num_train_epochs=train.epochs,
        max_steps=train.max_steps or -1,
        per_device_train_batch_size=recipe.micro_batch.value,
        per_device_eval_batch_size=recipe.micro_batch.value,
        gradient_accumulation_steps=train.examples_per_step // recipe.micro_batch.value,
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
        activation_checkpointing=checkpointing,
        logging_steps=1,
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


class LabTrainer(SFTTrainer):
    """One optimiser step sees exactly the profile's rows; its loss is the mean over their supervised tokens."""

    def __init__(
        self,
        model: PeftModel,
        settings: SFTConfig,
        recipe: Recipe,
        tokenizer: PreTrainedTokenizerBase,
        train_rows: list[Encoded],
        validation_rows: list[Encoded],
        callbacks: list[TrainerCallback],
    ) -> None:
        self.recipe = recipe
        self.train_lengths = [len(row.input_ids) for row in train_rows]
        self.step_counts = StepCounts()
        super().__init__(
            model=model,
            args=settings,
            data_collator=Collator(tokenizer.pad_token_id, share=recipe.shared_prefix.value),
            train_dataset=row_dataset(train_rows),
            eval_dataset=row_dataset(validation_rows) if validation_rows else None,
            processing_class=tokenizer,
            callbacks=callbacks,
        )
        self.remove_callback(PrinterCallback)
        cast_trainable(self.model, torch_dtype(recipe.adapter_dtype.value))  # TRL made them bf16 over a 4-bit base
        self.model_accepts_loss_kwargs = True  # `compute_loss` divides by the supervised tokens of the whole step

    def _get_train_sampler(self, train_dataset: Any = None) -> StepSampler:
        return StepSampler(
            self.train_lengths, self.args.train_batch_size * self.args.gradient_accumulation_steps, self.args.seed
        )

    def get_batch_samples(self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device) -> Any:
        """Fetch the micro-batches of one optimiser step and note what they hold."""
        batches, supervised = super().get_batch_samples(epoch_iterator, num_batches, device)
        self.step_counts = sum((batch.pop("counts") for batch in batches), StepCounts())
        return batches, supervised

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Tensor:
        """Return the sum over the batch's supervised tokens divided by those of the whole step."""
        labels, prefix = inputs.pop("labels"), inputs.pop("prefix")
        with self._precision():
            nll, _ = supervised_nll(self.accelerator.unwrap_model(model), inputs, labels, prefix)
        return nll.sum() / (nll.numel() if num_items_in_batch is None else num_items_in_batch)

    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:
        # Under autocast PEFT's own cast of the adapter's input to fp32 is undone at once: gradients are bitwise the
        # same without it, and a fp32 copy of every input need not be kept for the backward pass.
        cast_off = disable_input_dtype_casting(self.model) if self.recipe.autocast.value else contextlib.nullcontext()
        with cast_off:
            loss: Tensor = super().training_step(*args, **kwargs)
        return loss

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Return the loss over the validation rows: the sum over all supervised tokens by their number."""
        start = time.monotonic()
        model = self.accelerator.unwrap_model(self.model).eval()
        total, tokens = 0.0, 0
        with torch.inference_mode(), self._precision():
            for batch in self.get_eval_dataloader():
                batch.pop("counts")
                nll, _ = supervised_nll(model, batch, batch.pop("labels"), batch.pop("prefix"))
                total, tokens = total + float(nll.sum()), tokens + nll.numel()
        model.train()
        metrics = {"eval_loss": total / max(tokens, 1), "eval_runtime": time.monotonic() - start}
        self.control: Any = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write none: the lab makes cards from finished runs."""

    @contextlib.contextmanager
    def _precision(self) -> Iterator[None]:
        name = self.recipe.autocast.value
        if not name:
            yield
            return
        with torch.autocast(self.recipe.device.value, dtype=torch_dtype(name)):
            yield

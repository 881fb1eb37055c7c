"""TRL's SFTTrainer with the lab's order of rows, batches, loss and precision. Called by `training.fit`.

To transformers one batch is one optimiser step: how many micro-batches it takes is known here alone. What transformers
would do at every step and that walks all modules or waits for the GPU is replaced: a small step of a small model takes
a few hundredths of a second.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import PeftModel
from peft.helpers import disable_input_dtype_casting
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerBase, PrinterCallback, TrainerCallback
from trl import SFTTrainer

from lab.data.masks import Encoded
from lab.modeling.fast.head import head_obstacle
from lab.modeling.fast.install import fused
from lab.modeling.fast.layers import liger_layers
from lab.modeling.fast.step import PackedStep
from lab.modeling.fast.varlen import attention
from lab.modeling.load import torch_dtype
from lab.modeling.loss import causal_model, packed_nll, supervised_nll
from lab.modeling.methods import cast_trainable
from lab.modeling.weights import is_plain_adapter, load_checkpoint, save_trained
from lab.training.batches import Batch, Batcher, Step, StepCounts, layout_of, longest_part, to_device, validation_layout
from lab.training.guards import suspects
from lab.training.measured import Measured, Pending
from lab.training.ranks import Ranks
from lab.training.recipe import Recipe
from lab.training.sampler import StepSampler, StepSize
from lab.training.settings import Settings


def row_dataset(rows: Sequence[Encoded]) -> Dataset:
    """Return prepared rows as the table that SFTTrainer insists on."""
    return Dataset.from_dict({"input_ids": [r.input_ids for r in rows], "labels": [r.labels for r in rows]})


class LabTrainer(SFTTrainer):
    """One optimiser step sees exactly the profile's rows; its loss is the mean over their supervised tokens.

    Attributes:
        measured: the step that was reported last.
        left: choices of the recipe that this model turned out not to allow -> why; known once `engaged`.
    """

    def __init__(
        self,
        model: PeftModel,
        settings: Settings,
        recipe: Recipe,
        tokenizer: PreTrainedTokenizerBase,
        train_rows: list[Encoded],
        validation_rows: list[Encoded],
        callbacks: list[TrainerCallback],
        rank: int = 0,
    ) -> None:
        self.recipe = recipe
        self.train_rows, self.validation_rows = train_rows, validation_rows
        self.measured: Measured | None = None
        self.left: dict[str, str] = {}
        self._pending: deque[Pending] = deque()
        self._step: Step | None = None
        self._losses: Tensor | None = None
        self._fast: PackedStep | None = None
        self._ranks: Ranks | None = None
        layout = layout_of(recipe, tokenizer.pad_token_id)
        self._batcher, self._validation_batcher = Batcher(layout, rank), Batcher(validation_layout(layout), rank)
        super().__init__(
            model=model,
            args=settings,
            data_collator=self._batcher,
            train_dataset=row_dataset(train_rows),
            eval_dataset=row_dataset(validation_rows) if validation_rows else None,
            processing_class=tokenizer,
            callbacks=callbacks,
        )
        self.remove_callback(PrinterCallback)
        cast_trainable(self.model, torch_dtype(recipe.adapter_dtype.value))  # TRL made them bf16 over a 4-bit base
        self.model_accepts_loss_kwargs = True  # `compute_loss` divides by the supervised tokens of the whole step
        self._trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    @property
    def step_counts(self) -> StepCounts:
        """What the step that was reported last held."""
        return self.measured.counts if self.measured else StepCounts()

    def suspects(self) -> list[str]:
        """Return the ids of the rows that made the loss of the step reported last no number."""
        return suspects(self.measured.losses, self.measured.ids) if self.measured else []

    def longest_batch(self) -> Batch:
        """Return the micro-batch that takes the most tokens of all in this run, padding included."""
        return self._batcher.batch(longest_part(self.train_rows, self._sampler(), self._batcher))

    def longest_tokens(self) -> int:
        """Return the tokens of that micro-batch, without a word to the device, which may be stuck."""
        return self._batcher.cost(longest_part(self.train_rows, self._sampler(), self._batcher))

    def most_supervised_batch(self) -> Batch:
        """Return the micro-batch with the most supervised tokens, each of which has logits."""
        counts = {row.id: row.supervised for row in self.train_rows}
        rows = longest_part(
            self.train_rows, self._sampler(), self._batcher, lambda part: sum(counts[row.id] for row in part)
        )
        return self._batcher.batch(rows)

    def get_train_dataloader(self) -> DataLoader[Encoded]:
        return DataLoader(self.train_rows, batch_sampler=self._sampler(), collate_fn=self.data_collator)

    def _sampler(self) -> StepSampler:
        size = StepSize(self.args.step_examples, self.args.step_tokens)
        lengths = [len(row.input_ids) for row in self.train_rows]
        return StepSampler(lengths, size, self.args.seed, self.args.max_steps)

    @contextlib.contextmanager
    def engaged(self) -> Iterator[None]:
        """Prepare the model for training steps, and leave it as it was: attention, kernels, casts."""
        recipe, base = self.recipe, causal_model(self.model)
        with contextlib.ExitStack() as stack:
            stack.enter_context(attention(base, recipe.attention.value))
            if recipe.kernels.value == "liger":
                stack.enter_context(liger_layers(base))
            if recipe.autocast.value:
                # Under autocast PEFT's own cast of the adapter's input to fp32 is undone at once: gradients are
                # bitwise the same without it, and no fp32 copy of every input is kept for the backward pass.
                stack.enter_context(disable_input_dtype_casting(self.model))
            whole = recipe.fused_lora.value == "on" and self._fuse(stack)
            if recipe.fused_head.value == "on" and not self._head_stays(base):
                stack.callback(self._end_fast)
                self._fast = PackedStep(
                    base,
                    self._trained,
                    graph=recipe.cuda_graph.value == "on",
                    precision=None if whole else partial(self._precision, cache=False),
                    short=recipe.short_attention.value == "on",
                )
            self.model.zero_grad = self._clear_gradients  # nn.Module's walks all modules
            stack.callback(delattr, self.model, "zero_grad")
            self.model.train()
            yield

    def _fuse(self, stack: contextlib.ExitStack) -> bool:
        """Put the fused projections in; return whether no projection was left to PEFT."""
        blocks = self.recipe.fused_block.value == "on"
        installed = stack.enter_context(fused(self.model, blocks=blocks))
        if blocks and not installed.blocks:
            self.left["fused_block"] = "not all that a block consists of could be fused"
        return installed.whole

    def _head_stays(self, base: Any) -> bool:
        """Tell whether the head is left as it is, and with it what builds on the fast one."""
        if obstacle := head_obstacle(base):
            self.left |= dict.fromkeys(("fused_head", "cuda_graph", "short_attention"), obstacle)
        return bool(obstacle)

    def _end_fast(self) -> None:
        if self._fast is not None:
            self._fast.release()
        self._fast = None

    def join(self, ranks: Ranks) -> None:
        """Train together with others from now on; this process's rank is that of its rows."""
        self._ranks = ranks
        ranks.equalise(self._trained)
        ranks.draw_apart(self.args.seed)

    def part(self) -> None:
        """Be alone again."""
        if self._ranks is not None:
            self._ranks.leave()
        self._ranks = None

    def train(self, *args: Any, **kwargs: Any) -> Any:
        with self.engaged():
            return super().train(*args, **kwargs)

    def get_batch_samples(self, epoch_iterator: Iterator[Step], num_batches: int, device: torch.device) -> Any:
        """Fetch the micro-batches of one optimiser step."""
        self._step = next(epoch_iterator)
        return [self._step], self._step.counts.supervised

    def training_step(self, model: nn.Module, inputs: Step | Batch, num_items_in_batch: int | None = None) -> Tensor:
        """Return the loss of a step, or of one micro-batch; gradients are added up."""
        batches = inputs.batches if isinstance(inputs, Step) else [inputs]
        losses = [self._forward_backward(batch, num_items_in_batch) for batch in batches]
        self._losses = torch.stack(losses) if losses else self._no_losses()
        if self._ranks is not None:
            self._losses = self._ranks.add(self._losses)
        return self._losses.sum()

    def _no_losses(self) -> Tensor:
        """Return the losses of a process without a row in this step."""
        none = torch.zeros(0, device=self.args.device)
        if self.accelerator.scaler is not None:  # fp16: it begins with the first loss, and unscales gradients after
            self.accelerator.scaler.scale(none)
        return none

    def _forward_backward(self, batch: Batch, supervised: int | None) -> Tensor:
        if self._fast is not None and "cu_seq_lens" in batch:
            return self._fast(batch, len(batch["predicting"]) if supervised is None else supervised)
        loss = self.compute_loss(self.model, to_device(batch, self.args.device), num_items_in_batch=supervised)
        self.accelerator.backward(loss)
        return loss.detach()

    def compute_loss(
        self, model: nn.Module, inputs: Batch, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Tensor:
        """Return the sum over the batch's supervised tokens divided by those of the whole step."""
        nll = self._nll(model, inputs)
        return nll.sum() / (nll.numel() if num_items_in_batch is None else num_items_in_batch)

    def _nll(self, model: nn.Module, batch: Batch) -> Tensor:
        with self._precision():
            if "cu_seq_lens" in batch:
                return packed_nll(model, batch)
            inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
            return supervised_nll(model, inputs, batch["labels"], batch["prefix"])[0]

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Return the loss over the validation rows: the sum over all supervised tokens by their number."""
        start = time.monotonic()
        rows = sorted(self.validation_rows, key=lambda row: -len(row.input_ids))
        step = self._validation_batcher(rows)
        self.model.eval()
        with torch.inference_mode():
            sums = [self._nll(self.model, to_device(batch, self.args.device)).sum().double() for batch in step.batches]
        self.model.train()
        total = sum(sums, torch.zeros((), dtype=torch.float64, device=self.args.device))
        if self._ranks is not None:
            total = self._ranks.total(total)
        loss = float(total) / max(step.counts.supervised, 1)
        metrics = {"eval_loss": loss, "eval_runtime": time.monotonic() - start}
        self.control: Any = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def try_validation(self) -> None:
        """Run the largest batch of validation rows forward, as `evaluate` does."""
        batches = self._validation_batcher(sorted(self.validation_rows, key=lambda row: -len(row.input_ids))).batches
        largest = max(batches, key=lambda batch: int(batch["input_ids"].numel()))
        self.model.eval()
        with torch.inference_mode():
            self._nll(self.model, to_device(largest, self.args.device))
        self.model.train()

    def _maybe_log_save_evaluate(
        self, tr_loss: Tensor, grad_norm: Any, *args: Any, learning_rate: float | None = None, **kwargs: Any
    ) -> None:
        """Report steps, then validate and save as transformers does.

        On a GPU a step is reported when the next one is on its way, so that the GPU never waits. Before anything
        that rests on the weights all steps are reported: weights that a bad loss has spoilt are never saved.
        """
        if self._step is not None:
            assert self._losses is not None
            rate = 0.0 if learning_rate is None else learning_rate
            self._pending.append(Pending(self.state.global_step, rate, self._step, self._losses, grad_norm))
            self._step = None
        if self._ranks is not None:
            self._ranks.agree(self.control)
        control = self.control
        due = control.should_evaluate or control.should_save or control.should_training_stop
        self._report(0 if due or self.recipe.device.value == "cpu" else 1)
        super()._maybe_log_save_evaluate(tr_loss, grad_norm, *args, learning_rate=learning_rate, **kwargs)
        if self._ranks is not None:
            self._ranks.agree(self.control)  # validation may have ended training

    def save_now(self) -> None:
        """Report all steps and save a checkpoint of the last, between two steps."""
        self._report(0)
        self._save_checkpoint(self.model, trial=None)
        self.control = self.callback_handler.on_save(self.args, self.state, self.control)

    def _report(self, leave: int) -> None:
        """Tell the callbacks about all steps but the last `leave`."""
        while len(self._pending) > leave:
            self.measured = measured = self._pending.popleft().read()
            if self._ranks is not None:
                self._ranks.check()
            logs = {
                "step": measured.step,
                "loss": measured.loss,
                "grad_norm": measured.grad_norm,
                "learning_rate": measured.learning_rate,
            }
            self.control = self.callback_handler.on_log(self.args, self.state, self.control, logs)

    def _clip_grad_norm(self, model: nn.Module) -> Tensor:
        """Scale gradients down to the profile's norm; return the norm they had."""
        self.accelerator.unscale_gradients()
        return nn.utils.clip_grad_norm_(self._trained, self.args.max_grad_norm)

    def _clear_gradients(self, set_to_none: bool = True) -> None:
        for parameter in self._trained:
            parameter.grad = None

    def floating_point_ops(self, inputs: Any) -> int:
        """Return 0: transformers' count walks all modules, takes full training for granted, and is not used."""
        return 0

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        if self._ranks is None or self._ranks.leads:
            super()._save_checkpoint(*args, **kwargs)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        # PEFT would store frozen adapters too, and transformers the whole base though only some of it trains.
        if is_plain_adapter(self.model):
            super()._save(output_dir, state_dict)
        else:
            save_trained(self.model, Path(output_dir or self.args.output_dir))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        if is_plain_adapter(self.model):
            super()._load_from_checkpoint(resume_from_checkpoint, model)
        else:
            load_checkpoint(self.model, Path(resume_from_checkpoint))

    def _load_rng_state(self, checkpoint: str) -> None:
        super()._load_rng_state(checkpoint)
        if self._ranks is not None:  # the checkpoint holds the leader's
            self._ranks.draw_apart(self.args.seed + self.state.global_step)

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write none: the lab makes cards from finished runs."""

    @contextlib.contextmanager
    def _precision(self, *, cache: bool = True) -> Iterator[None]:
        name = self.recipe.autocast.value
        if not name:
            yield
            return
        with torch.autocast(self.recipe.device.value, dtype=torch_dtype(name), cache_enabled=cache):
            yield

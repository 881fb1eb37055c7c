"""Training steps, forward passes and answers of a loaded run, timed for seconds. Called by `lab.bench.speed`.

The worker's own functions do the work, so whatever makes them faster shows here.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lab.bench.growth import batch_seconds
from lab.bench.work import Speeds
from lab.data.masks import Encoded
from lab.data.prepare import Prepared
from lab.evaluation.generate import Answerer, batch_size
from lab.evaluation.perplexity import reference_nll
from lab.evaluation.spec import chosen_rows
from lab.modeling.load import torch_dtype
from lab.modeling.loss import causal_model
from lab.modeling.methods import METHODS, cast_adapter
from lab.profile.schema import Profile
from lab.training.recipe import Recipe
from lab.training.settings import trainer_settings
from lab.training.trainer import LabTrainer

SHORT_PROMPT = 16  # tokens; decoding hardly depends on the prompt, and reading prompts is timed as a forward pass
FEW_TOKENS, MANY_TOKENS = 4, 33
TRAIN_SHARE, FORWARD_SHARE, ANSWER_SHARE = 0.5, 0.2, 0.3  # of the seconds


@dataclass(frozen=True)
class Loaded:
    """A run in memory, as the worker has it before it trains."""

    profile: Profile
    recipe: Recipe
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    prepared: Prepared

    @property
    def device(self) -> str:
        return str(self.recipe.device.value)


def time_speeds(loaded: Loaded, seconds: float, *, start_seconds: float, load_seconds: float) -> Speeds:
    """Return the speeds of a run, taken in about `seconds`; what the profile does not do is None."""
    train = None
    if loaded.profile.method.kind != "baseline":
        add = METHODS[loaded.profile.method.kind]
        loaded = replace(loaded, model=add(loaded.model, loaded.profile.method, loaded.profile.train.seed))
        train = train_speed(loaded, seconds * TRAIN_SHARE)
        cast_adapter(loaded.model, torch_dtype(loaded.recipe.dtype.value))
    loaded.model.eval()
    forward = forward_speed(loaded, seconds * FORWARD_SHARE)
    return Speeds(start_seconds, load_seconds, train, forward, answer_speed(loaded, seconds * ANSWER_SHARE))


def train_speed(loaded: Loaded, seconds: float) -> float | None:
    """Return trained tokens a second of a full micro-batch, forward and backward; None without training rows."""
    rows = middle_rows(loaded.prepared.train, rows_at_once(loaded))
    if not rows:
        return None
    with tempfile.TemporaryDirectory(prefix="lab-speed-") as folder:
        settings = trainer_settings(loaded.profile, loaded.recipe, folder, loaded.prepared)
        trainer = LabTrainer(loaded.model, settings, loaded.recipe, loaded.tokenizer, rows, rows, [])

    def step(count: int) -> None:
        batches = trainer.data_collator(rows[:count])
        trainer.training_step(trainer.model, batches, batches.counts.supervised)
        trainer.model.zero_grad()

    with trainer.engaged():
        return _speed(step, rows, seconds, loaded.device)


def forward_speed(loaded: Loaded, seconds: float) -> float | None:
    """Return tokens a second of likelihoods without gradients, in batches of a training step; None without rows."""
    prepared = loaded.prepared
    every = [*prepared.train, *prepared.validation, *(row.encoded for row in prepared.test)]
    rows = middle_rows(every, rows_at_once(loaded))
    pad, share = loaded.tokenizer.pad_token_id, bool(loaded.recipe.shared_prefix.value)

    def step(count: int) -> None:
        reference_nll(loaded.model, rows[:count], pad, share=share)

    return _speed(step, rows, seconds, loaded.device)


def answer_speed(loaded: Loaded, seconds: float) -> float | None:
    """Return generated tokens a second of a full batch, without the time to read its prompts; None without rows."""
    decoding = loaded.profile.evaluate
    rows = chosen_rows(loaded.prepared.test, decoding)[: batch_size(decoding, loaded.device)]
    prompts = [row.prompt_ids[-SHORT_PROMPT:] for row in rows]
    if not prompts:
        return None
    _pass_ends(loaded, prompts[:1], 2)  # warms up
    token = 0.0
    for tokens in (FEW_TOKENS, MANY_TOKENS):
        token = statistics.median(end - begin for begin, end in pairwise(_pass_ends(loaded, prompts, tokens)))
        if token * MANY_TOKENS > seconds:
            break
    return len(prompts) / token


def _pass_ends(loaded: Loaded, prompts: Sequence[Sequence[int]], tokens: int) -> list[float]:
    """Let the model write exactly so many tokens after each prompt; return when each pass through its layers ended.

    The first pass reads the prompts; what is between the others is what a token takes.
    """
    ends: list[float] = []
    loaded.model.generation_config.min_new_tokens = tokens  # no answer ends itself before
    decoding = loaded.profile.evaluate.model_copy(update={"max_new_tokens": tokens})
    decoder = causal_model(loaded.model).get_decoder()
    hook = decoder.register_forward_hook(lambda *_: ends.append(_now(loaded.device)))
    try:
        list(Answerer(loaded.model, loaded.tokenizer, frozenset(), decoding).answers(prompts, len(prompts)))
    finally:
        hook.remove()
    return ends


def rows_at_once(loaded: Loaded) -> int:
    """Return how many rows of about median length go through the model at once."""
    recipe, rows = loaded.recipe, loaded.prepared.train
    if recipe.micro_batch.value or not rows:
        return max(1, recipe.micro_batch.value)
    median = statistics.median(len(row.input_ids) for row in rows)
    step = loaded.profile.train.tokens_per_step // median or loaded.profile.train.examples_per_step
    return max(1, int(min(step, recipe.micro_tokens.value // median)))


def middle_rows(rows: Sequence[Encoded], count: int) -> list[Encoded]:
    """Return `count` rows about the median length, so that few stand for all."""
    ordered = sorted(rows, key=lambda row: len(row.input_ids))
    start = max(0, (len(ordered) - count) // 2)
    return ordered[start : start + count]


def _speed(step: Callable[[int], None], rows: Sequence[Encoded], seconds: float, device: str) -> float | None:
    """Return tokens a second of `step` on all rows; None where there are none."""
    if not rows:
        return None

    def timed(count: int) -> float:
        begin = _now(device)
        step(count)
        return _now(device) - begin

    return sum(len(row.input_ids) for row in rows) / batch_seconds(timed, len(rows), seconds)


def _now(device: str) -> float:
    """Return the time at which all work given to the device so far is done."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()

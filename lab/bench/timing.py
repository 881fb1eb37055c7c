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

from lab.bench.forecast import answer_batches, padded_tokens, part_tokens
from lab.bench.growth import SMALLEST, batch_speed
from lab.data.masks import Encoded
from lab.data.prepare import Prepared
from lab.evaluation.batching import window_of
from lab.evaluation.generate import Answerer
from lab.evaluation.perplexity import reference_nll
from lab.evaluation.spec import chosen_rows
from lab.modeling.load import torch_dtype
from lab.modeling.loss import causal_model
from lab.modeling.methods import METHODS, cast_adapter
from lab.profile.schema import Profile
from lab.training.probe import ready_optimizer, recompute
from lab.training.recipe import Recipe
from lab.training.settings import trainer_settings
from lab.training.trainer import LabTrainer

SHORT_PROMPT = 16  # tokens, where prompts are not shared: they would have to be read once for each row
WARM_TOKENS = 32  # of each row of the first batch, which sets things up
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


def adapted(loaded: Loaded) -> Loaded:
    """Return the run with what trains in its model."""
    profile = loaded.profile
    return replace(loaded, model=METHODS[profile.method.kind](loaded.model, profile.method, profile.train.seed))


def time_training(loaded: Loaded, seconds: float) -> tuple[float | None, float]:
    """Return tokens a second forward and backward, in a micro-batch as full as there is time for, and the seconds that
    the optimiser takes each step; (None, 0.0) without training rows.
    """
    rows = middle_rows(loaded.prepared.train, rows_at_once(loaded))
    if not rows:
        return None, 0.0
    with tempfile.TemporaryDirectory(prefix="lab-speed-") as folder:
        settings = trainer_settings(loaded.profile, loaded.recipe, folder, rows, validates=True)
        trainer = LabTrainer(loaded.model, settings, loaded.recipe, loaded.tokenizer, rows, rows, [])

    def step(chosen: Sequence[Encoded]) -> None:
        batches = trainer.data_collator(chosen)
        trainer.training_step(trainer.model, batches, batches.counts.supervised)
        trainer.model.zero_grad()

    with trainer.engaged():
        recompute(trainer)
        speed = _speed(step, lambda chosen: part_tokens(chosen, loaded.recipe), rows, seconds, loaded.device)
        optimizer = ready_optimizer(trainer)
        begin = _now(loaded.device)
        optimizer.step()
        return speed, _now(loaded.device) - begin


def time_passes(loaded: Loaded, seconds: float) -> tuple[float | None, float | None]:
    """Return tokens a second without gradients, and generated ones; as the model answers after training."""
    cast_adapter(loaded.model, torch_dtype(loaded.recipe.dtype.value))
    loaded.model.eval()
    shares = (share / (FORWARD_SHARE + ANSWER_SHARE) for share in (FORWARD_SHARE, ANSWER_SHARE))
    forward, answer = (seconds * share for share in shares)
    return forward_speed(loaded, forward), answer_speed(loaded, answer)


def forward_speed(loaded: Loaded, seconds: float) -> float | None:
    """Return tokens a second of likelihoods without gradients, in batches of a training step; None without rows."""
    prepared = loaded.prepared
    every = [*prepared.train, *prepared.validation, *(row.encoded for row in prepared.test)]
    rows = middle_rows(every, rows_at_once(loaded))
    if not rows:
        return None
    pad, share = loaded.tokenizer.pad_token_id, bool(loaded.recipe.shared_prefix.value)

    def step(chosen: Sequence[Encoded]) -> None:
        reference_nll(loaded.model, chosen, pad, share=share)

    return _speed(step, lambda chosen: padded_tokens(chosen, share), rows, seconds, loaded.device)


def answer_speed(loaded: Loaded, seconds: float) -> float | None:
    """Return generated tokens a second of a full batch, without the time to read its prompts; None without rows.

    Where rows can share what they begin with, one prompt of middling length stands for all: it is read once, and
    attention is over as many tokens as it will be.
    """
    tests = chosen_rows(loaded.prepared.test, loaded.profile.evaluate)
    batches = answer_batches(loaded.profile, tests, loaded.recipe, window_of(loaded.model.config))
    if not batches:
        return None
    share = bool(loaded.recipe.shared_prefix.value)
    lengths = sorted((row.prompt_ids for row in tests), key=len)
    prompt = lengths[len(lengths) // 2][0 if share else -SHORT_PROMPT :]
    prompts = [prompt] * len(batches[0].indices)
    _pass_ends(loaded, prompts[:1], 2, share)  # warms up
    token = 0.0
    for tokens in (FEW_TOKENS, MANY_TOKENS):
        ends = _pass_ends(loaded, prompts, tokens, share)
        token = statistics.median(end - begin for begin, end in pairwise(ends))
        if token * MANY_TOKENS > seconds:
            break
    return len(prompts) / token


def _pass_ends(loaded: Loaded, prompts: Sequence[Sequence[int]], tokens: int, share: bool) -> list[float]:
    """Let the model write exactly so many tokens after each prompt; return when each pass through its layers ended.

    The first pass reads the prompts, or what they share; what is between the others is what a token takes.
    """
    ends: list[float] = []
    loaded.model.generation_config.min_new_tokens = tokens  # no answer ends itself before
    decoding = loaded.profile.evaluate.model_copy(update={"max_new_tokens": tokens})
    decoder = causal_model(loaded.model).get_decoder()
    hook = decoder.register_forward_hook(lambda *_: ends.append(_now(loaded.device)))
    try:
        list(Answerer(loaded.model, loaded.tokenizer, frozenset(), decoding, share).answers(prompts, len(prompts)))
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


def _speed(
    step: Callable[[Sequence[Encoded]], None],
    tokens: Callable[[Sequence[Encoded]], int],
    rows: Sequence[Encoded],
    seconds: float,
    device: str,
) -> float:
    """Return tokens a second of `step` on as many of `rows` as there is time for.

    Args:
        tokens: that go through the model for a batch of rows.
    """

    def timed(chosen: Sequence[Encoded]) -> float:
        begin = _now(device)
        step(chosen)
        return _now(device) - begin

    short = [Encoded(row.id, row.input_ids[-WARM_TOKENS:], row.labels[-WARM_TOKENS:]) for row in rows[:SMALLEST]]
    timed(short)
    guess = tokens(short) / timed(short)
    return batch_speed(lambda n: timed(rows[:n]), lambda n: tokens(rows[:n]), len(rows), seconds, guess)


def _now(device: str) -> float:
    """Return the time at which all work given to the device so far is done."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()

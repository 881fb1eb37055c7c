"""What a run works through, counted on its own batches: for the estimate of its time. Called by `lab.bench.speed`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice

from lab.bench.work import Work
from lab.data.masks import Encoded, TestRow
from lab.data.prepare import Prepared
from lab.evaluation.batching import Batch, plan_batches
from lab.evaluation.generate import batch_size
from lab.evaluation.perplexity import likelihood_batches
from lab.evaluation.spec import chosen_rows
from lab.modeling.loss import supervised_prefix
from lab.modeling.prefix import common_prefix
from lab.profile.schema import Profile
from lab.training.batches import Batcher, layout_of
from lab.training.recipe import Recipe, steps_in
from lab.training.sampler import StepSize, epoch_steps
from lab.training.sizes import trains

COUNTED_STEPS = 64  # of the first epoch; the others are like them
FIRST_TOKENS = 6  # prompts that are read one by one for the time to the first token


def work_of(profile: Profile, prepared: Prepared, recipe: Recipe, window: int | None) -> Work:
    """Return what a run of `profile` works through.

    Args:
        window: tokens that the model can attend to; None where that is not known.
    """
    steps = steps_in(profile, [len(row.input_ids) for row in prepared.train]) if trains(profile) else 0
    validations = steps // profile.train.eval_every if profile.train.eval_every else 0
    tests = chosen_rows(prepared.test, profile.evaluate)
    answered = answer_batches(profile, tests, recipe, window)
    share = bool(recipe.shared_prefix.value)
    return Work(
        train=steps * _step_tokens(profile, prepared.train, recipe) if steps else 0.0,
        steps=steps,
        forward=validations * _validation_tokens(prepared.validation, recipe)
        + _likelihood_tokens([row.encoded for row in tests], share)
        + _prompt_tokens([row.prompt_ids for row in tests], answered, share),
        answers=sum(len(batch.indices) * _answer_length(profile, batch, tests) for batch in answered),
    )


def part_tokens(rows: Sequence[Encoded], recipe: Recipe) -> int:
    """Return the tokens that `rows` are for the model as one micro-batch."""
    if recipe.batching.value == "packed":
        return sum(len(row.input_ids) for row in rows)
    share = bool(recipe.shared_prefix.value)
    return padded_tokens(rows, share)


def padded_tokens(rows: Sequence[Encoded], share: bool) -> int:
    """Return the tokens of `rows` padded side by side; what they begin with goes through the model once."""
    prefix = supervised_prefix([row.input_ids for row in rows], [row.labels for row in rows]) if share else 0
    return prefix + len(rows) * (max(len(row.input_ids) for row in rows) - prefix)


def answer_batches(profile: Profile, tests: Sequence[TestRow], recipe: Recipe, window: int | None) -> list[Batch]:
    """Return the batches in which the test rows are answered."""
    size, lengths = batch_size(profile.evaluate, str(recipe.device.value)), [len(row.prompt_ids) for row in tests]
    return list(plan_batches(lengths, size, profile.evaluate.max_new_tokens, window))


def _step_tokens(profile: Profile, rows: Sequence[Encoded], recipe: Recipe) -> float:
    """Return the mean tokens of an optimiser step, by the first ones."""
    lengths = [len(row.input_ids) for row in rows]
    steps = epoch_steps(lengths, StepSize.of(profile.train), profile.train.seed, 0)
    counted = list(islice(steps, COUNTED_STEPS))
    return sum(_tokens_in([rows[place] for place in step], recipe) for step in counted) / len(counted)


def _validation_tokens(rows: Sequence[Encoded], recipe: Recipe) -> int:
    return _tokens_in(sorted(rows, key=lambda row: -len(row.input_ids)), recipe) if rows else 0


def _tokens_in(rows: Sequence[Encoded], recipe: Recipe) -> int:
    parts = Batcher(layout_of(recipe, 0)).split(rows)
    return sum(part_tokens([rows[place] for place in part], recipe) for part in parts)


def _likelihood_tokens(rows: Sequence[Encoded], share: bool) -> int:
    return sum(padded_tokens([rows[place] for place in batch], share) for batch in likelihood_batches(rows))


def _prompt_tokens(prompts: Sequence[Sequence[int]], batches: Sequence[Batch], share: bool) -> int:
    total = sum(len(prompt) for prompt in prompts[:FIRST_TOKENS])
    for batch in batches:
        chosen = [prompts[place] for place in batch.indices]
        prefix = common_prefix(chosen, min(map(len, chosen)) - 1) if share else 0
        total += prefix + len(chosen) * (max(map(len, chosen)) - prefix)
    return total


def _answer_length(profile: Profile, batch: Batch, tests: Sequence[TestRow]) -> int:
    """Return the tokens until the last answer of a batch ends.

    Untuned models rarely end their answers; tuned ones answer as the references do.
    """
    longest = max(tests[place].encoded.supervised for place in batch.indices) if trains(profile) else math.inf
    return int(min(longest, batch.cap))

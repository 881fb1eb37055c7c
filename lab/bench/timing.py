"""Training steps, forward passes and answers of a loaded run, timed for seconds. Called by `lab.bench.speed`."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from peft.helpers import disable_input_dtype_casting
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lab.bench.work import Speeds
from lab.data.masks import Encoded
from lab.data.prepare import Prepared
from lab.evaluation.generate import Answerer, batch_size
from lab.evaluation.spec import chosen_rows
from lab.modeling.load import torch_dtype
from lab.modeling.loss import supervised_nll
from lab.modeling.methods import METHODS, cast_adapter
from lab.profile.schema import Profile
from lab.training.recipe import Recipe
from lab.training.trainer import Collator

WARM_TOKENS = 32
SHORT_PROMPT = 16  # tokens; decoding hardly depends on the prompt, and reading prompts is timed as a forward pass
TRAIN_SHARE, FORWARD_SHARE, ANSWER_SHARE = 0.5, 0.2, 0.3  # of the seconds

Step = Callable[[Sequence[Encoded]], int]
"""Works on rows and returns their tokens, padding left out."""


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
    """Return trained tokens a second, forward and backward; None without training rows."""
    model = loaded.model.train()

    def step(rows: Sequence[Encoded]) -> int:
        inputs, labels, tokens = _batch(loaded, rows)
        with _as_trained(loaded):
            nll, _ = supervised_nll(model, inputs, labels)
            nll.mean().backward()
        model.zero_grad()
        return tokens

    return growing(step, middle_rows(loaded.prepared.train, loaded.recipe.micro_batch.value), seconds, loaded.device)


def forward_speed(loaded: Loaded, seconds: float) -> float | None:
    """Return tokens a second of passes without gradients; None without rows."""
    prepared = loaded.prepared
    every = [*prepared.train, *prepared.validation, *(row.encoded for row in prepared.test)]

    @torch.inference_mode()
    def step(rows: Sequence[Encoded]) -> int:
        inputs, labels, tokens = _batch(loaded, rows)
        supervised_nll(loaded.model, inputs, labels)
        return tokens

    return growing(step, middle_rows(every, loaded.recipe.micro_batch.value), seconds, loaded.device)


def answer_speed(loaded: Loaded, seconds: float) -> float | None:
    """Return generated tokens a second of a full batch, without the time to read its prompts; None without rows."""
    decoding = loaded.profile.evaluate
    rows = chosen_rows(loaded.prepared.test, decoding)[: batch_size(decoding, loaded.device)]
    prompts = [row.prompt_ids[-SHORT_PROMPT:] for row in rows]
    if not prompts:
        return None
    _answer_seconds(loaded, prompts[:1], 2)  # warms up
    first = _answer_seconds(loaded, prompts, 1)
    for count in (2, 8, 32):
        took = max(_answer_seconds(loaded, prompts, 1 + count) - first, 1e-6)
        if took * 4 > seconds:
            break
    return len(prompts) * count / took


def _answer_seconds(loaded: Loaded, prompts: Sequence[Sequence[int]], count: int) -> float:
    """Return the seconds that exactly `count` new tokens for each prompt take."""
    loaded.model.generation_config.min_new_tokens = count  # no answer ends itself before
    decoding = loaded.profile.evaluate.model_copy(update={"max_new_tokens": count})
    answerer = Answerer(loaded.model, loaded.tokenizer, frozenset(), decoding)
    with timed(loaded.device) as clock:
        list(answerer.answers(prompts, len(prompts)))
    return clock()


def middle_rows(rows: Sequence[Encoded], count: int) -> list[Encoded]:
    """Return `count` rows about the median length, so that few stand for all."""
    ordered = sorted(rows, key=lambda row: len(row.input_ids))
    start = max(0, (len(ordered) - count) // 2)
    return ordered[start : start + count]


def growing(step: Step, rows: Sequence[Encoded], seconds: float, device: str) -> float | None:
    """Return tokens a second of `step` on as many of `rows` as about `seconds` allow; None where there are none.

    It grows from a piece of one row, so that a slow machine is not kept busy by a first full step. The first time of
    each size counts only where there is no second: kernels are chosen and memory is taken in it.
    """
    if not rows:
        return None
    piece = [Encoded(row.id, row.input_ids[-WARM_TOKENS:], row.labels[-WARM_TOKENS:]) for row in rows[:1]]
    step(piece)
    speed, spent = _speed(step, piece, device)
    count = fitting(rows, speed * seconds)
    speeds: list[float] = []
    while True:
        speed, took = _speed(step, rows[:count], device)
        speeds.append(speed)
        spent += took
        larger = min(2 * count, len(rows))
        if larger > count and spent + took * larger / count <= seconds:
            count, speeds = larger, []
        elif spent + took > seconds:
            return statistics.median(speeds[1:] or speeds)


def fitting(rows: Sequence[Encoded], tokens: float) -> int:
    """Return how many of the first `rows` hold no more than `tokens` tokens, at least 1."""
    count, held = 0, 0
    while count < len(rows) and held + len(rows[count].input_ids) <= tokens:
        held += len(rows[count].input_ids)
        count += 1
    return max(count, 1)


def _speed(step: Step, rows: Sequence[Encoded], device: str) -> tuple[float, float]:
    """Return tokens a second, and the seconds, of one step."""
    with timed(device) as clock:
        tokens = step(rows)
    return tokens / clock(), clock()


@contextlib.contextmanager
def timed(device: str) -> Iterator[Callable[[], float]]:
    """Time a block; afterwards the function that it gives returns the seconds, with what the GPU still had to do."""
    taken: list[float] = []
    begin = time.perf_counter()
    yield lambda: taken[0]
    if device == "cuda":
        torch.cuda.synchronize()
    taken.append(max(time.perf_counter() - begin, 1e-9))


@contextlib.contextmanager
def _as_trained(loaded: Loaded) -> Iterator[None]:
    """The precision in which `training.trainer` trains."""
    name = loaded.recipe.autocast.value
    if not name:
        yield
        return
    with disable_input_dtype_casting(loaded.model), torch.autocast(loaded.device, torch_dtype(name)):
        yield


def _batch(loaded: Loaded, rows: Sequence[Encoded]) -> tuple[dict[str, torch.Tensor], torch.Tensor, int]:
    collate = Collator(loaded.tokenizer.pad_token_id)
    batch = collate([{"input_ids": row.input_ids, "labels": row.labels} for row in rows])
    tokens = batch.pop("counts").tokens
    moved = {name: value.to(loaded.model.device) for name, value in batch.items()}
    return moved, moved.pop("labels"), tokens

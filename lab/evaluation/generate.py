"""Answering prompts in batches. Called by `evaluation.run`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lab.evaluation.batching import Batch, plan_batches, window_of
from lab.modeling.loss import causal_model
from lab.modeling.prefix import common_prefix, shared_states
from lab.profile.schema import Evaluate

if TYPE_CHECKING:
    from transformers import Cache, PreTrainedModel, PreTrainedTokenizerBase

CPU_BATCH = 64
GPU_BATCH = 128


@dataclass(frozen=True)
class Answered:
    """One answer.

    Attributes:
        index: of its prompt.
        tokens: generated ones, the end-of-turn token included.
        seconds: its share of the batch's time.
        finish: "stop" for an answer that ended itself, "length" for one that was cut.
    """

    index: int
    text: str
    tokens: int
    seconds: float
    finish: str


def batch_size(decoding: Evaluate, device: str) -> int:
    return decoding.batch_size or (GPU_BATCH if device == "cuda" else CPU_BATCH)


@dataclass(frozen=True)
class Answerer:
    """A model with what it needs to answer.

    Attributes:
        stop_ids: the tokens that end an answer; the model's own are added.
        share: compute once what the prompts of a batch begin with.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    stop_ids: frozenset[int]
    decoding: Evaluate
    share: bool = False

    def answers(
        self,
        prompts: Sequence[Sequence[int]],
        size: int,
        stop_asked: Callable[[], bool] = lambda: False,
        say: Callable[[str], None] = lambda line: None,
    ) -> Iterator[list[Answered]]:
        """Yield the answers to `prompts`, batch by batch, longest prompts first.

        A batch for which the GPU has too little memory is halved, and those after it are no larger than what fitted.
        Answers are cut from the token ids after the prompt, never from the decoded string.

        Args:
            prompts: token ids, the generation prompt included.
            size: most prompts a batch.
            say: is told of halved batches.
        """
        torch.manual_seed(self.decoding.seed)
        waiting = plan_batches(
            [len(p) for p in prompts], size, self.decoding.max_new_tokens, window_of(self.model.config)
        )
        while waiting and not stop_asked():
            batch = waiting.popleft()
            if len(batch.indices) > size:
                waiting.extendleft(reversed(batch.halves()))
                continue
            answered = self._unless_full(prompts, batch)
            if answered is not None:
                yield answered
                continue
            size = (len(batch.indices) + 1) // 2
            say(f"GPU memory is full: {size} prompts at once")
            waiting.appendleft(batch)

    def _unless_full(self, prompts: Sequence[Sequence[int]], batch: Batch) -> list[Answered] | None:
        """Return the answers of a batch; None where the GPU's memory is too small for so many at once."""
        try:
            return self._batch(prompts, batch)
        except torch.OutOfMemoryError:
            if len(batch.indices) == 1:
                raise
        torch.cuda.empty_cache()  # out of the handler: the error's trace holds the tensors that did not fit
        return None

    def first_token_seconds(self, prompts: Sequence[Sequence[int]], repeats: int = 5, at_once: int = 1) -> float | None:
        """Return the median time from `at_once` prompts to their first tokens, in seconds; None without prompts."""
        if not prompts:
            return None
        times = []
        for start in range(0, (repeats + 1) * at_once, at_once):
            chosen = [prompts[(start + i) % len(prompts)] for i in range(at_once)]
            batch = self._batch(chosen, Batch(tuple(range(at_once)), 1))
            times.append(sum(one.seconds for one in batch))
        return sorted(times[1:])[repeats // 2]  # the first call warms up

    @torch.inference_mode()
    def _batch(self, prompts: Sequence[Sequence[int]], batch: Batch) -> list[Answered]:
        pad = self.tokenizer.pad_token_id
        chosen = [prompts[i] for i in batch.indices]
        prefix = common_prefix(chosen, min(map(len, chosen)) - 1) if self.share else 0
        ids, mask = pad_left(chosen, pad, self.model.device, prefix)
        begin = time.monotonic()
        with contiguous_head(self.model):
            output = self.model.generate(
                input_ids=ids,
                attention_mask=mask,
                past_key_values=self._states(ids, prefix),
                max_new_tokens=batch.cap,
                eos_token_id=sorted(self._stops()),
                pad_token_id=pad,
                repetition_penalty=self.decoding.repetition_penalty,
                **self._sampling(),
            )
        rows = output[:, ids.shape[1] :].tolist()  # waits for the GPU, so the clock below is true
        share = (time.monotonic() - begin) / len(chosen)
        return [self._cut(index, row, share) for index, row in zip(batch.indices, rows, strict=True)]

    def _states(self, ids: Tensor, prefix: int) -> Cache | None:
        if not prefix:
            return None
        return shared_states(causal_model(self.model).get_decoder(), ids[:1, :prefix], len(ids))

    def _cut(self, index: int, row: list[int], seconds: float) -> Answered:
        stops = self._stops()
        end = next((i for i, token in enumerate(row) if token in stops), None)
        kept = row if end is None else row[:end]
        text = self.tokenizer.decode(kept, skip_special_tokens=True)
        return Answered(index, text, len(kept) + (end is not None), seconds, "length" if end is None else "stop")

    def _stops(self) -> frozenset[int]:
        configured = self.model.generation_config.eos_token_id
        several = configured if isinstance(configured, list) else [configured]
        return self.stop_ids | {token for token in several if token is not None}

    def _sampling(self) -> dict[str, Any]:
        if self.decoding.temperature == 0.0:
            return {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
        return {"do_sample": True, "temperature": self.decoding.temperature, "top_p": self.decoding.top_p, "top_k": 0}


@contextlib.contextmanager
def contiguous_head(model: Any) -> Iterator[None]:
    """Give the head its last hidden states in one piece.

    transformers slices them out of all positions. For a slice whose rows lie apart, and a head that is not trained,
    torch copies the head's weights once for each row of the batch before it multiplies.
    """
    head = causal_model(model).get_output_embeddings()
    hook = head.register_forward_pre_hook(lambda module, inputs: (inputs[0].contiguous(), *inputs[1:]))
    try:
        yield
    finally:
        hook.remove()


def pad_left(
    rows: Sequence[Sequence[int]], pad: int, device: torch.device | str, prefix: int = 0
) -> tuple[Tensor, Tensor]:
    """Return ids and attention mask, each (rows, longest): padding before the rows, so that all end together.

    Args:
        prefix: tokens that all rows begin with; they stay in front of the padding.
    """
    longest = max(len(row) for row in rows)
    ids, mask = torch.full((len(rows), longest), pad), torch.zeros((len(rows), longest), dtype=torch.long)
    for index, row in enumerate(rows):
        begin = longest - len(row) + prefix
        ids[index, :prefix], mask[index, :prefix] = torch.tensor(list(row[:prefix])), 1
        ids[index, begin:], mask[index, begin:] = torch.tensor(list(row[prefix:])), 1
    return ids.to(device), mask.to(device)

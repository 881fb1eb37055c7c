"""Answering prompts in batches. Called by `evaluation.run`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lab.modeling.loss import causal_model
from lab.modeling.prefix import common_prefix, shared_states
from lab.profile.schema import Evaluate

if TYPE_CHECKING:
    from transformers import Cache, PreTrainedModel, PreTrainedTokenizerBase

CPU_BATCH = 64
GPU_BATCH = 64


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
        self, prompts: Sequence[Sequence[int]], size: int, stop_asked: Callable[[], bool] = lambda: False
    ) -> Iterator[list[Answered]]:
        """Yield the answers to `prompts`, batch by batch, longest prompts first: memory runs out at once or never.

        Answers are cut from the token ids after the prompt, never from the decoded string.

        Args:
            prompts: token ids, the generation prompt included.
            size: most prompts a batch; batches are of like size, since a small last one takes as long as a full one.
        """
        order = sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]), i))
        torch.manual_seed(self.decoding.seed)
        even = math.ceil(len(order) / max(1, math.ceil(len(order) / size)))
        for start in range(0, len(order), max(1, even)):
            if stop_asked():
                return
            yield self._batch(prompts, order[start : start + even])

    def first_token_seconds(self, prompts: Sequence[Sequence[int]], repeats: int = 5) -> float | None:
        """Return the median time from one prompt to its first token, in seconds; None without prompts."""
        if not prompts:
            return None
        one = replace(self, decoding=self.decoding.model_copy(update={"max_new_tokens": 1}))
        chosen = [prompts[i % len(prompts)] for i in range(repeats + 1)]
        times = [one._batch([prompt], [0])[0].seconds for prompt in chosen]
        return sorted(times[1:])[repeats // 2]  # the first call warms up

    @torch.inference_mode()
    def _batch(self, prompts: Sequence[Sequence[int]], indices: Sequence[int]) -> list[Answered]:
        pad = self.tokenizer.pad_token_id
        chosen = [prompts[i] for i in indices]
        prefix = common_prefix(chosen, min(map(len, chosen)) - 1) if self.share else 0
        ids, mask = pad_left(chosen, pad, self.model.device, prefix)
        begin = time.monotonic()
        output = self.model.generate(
            input_ids=ids,
            attention_mask=mask,
            past_key_values=self._states(ids, prefix),
            max_new_tokens=self.decoding.max_new_tokens,
            eos_token_id=sorted(self._stops()),
            pad_token_id=pad,
            repetition_penalty=self.decoding.repetition_penalty,
            **self._sampling(),
        )
        rows = output[:, ids.shape[1] :].tolist()  # waits for the GPU, so the clock below is true
        share = (time.monotonic() - begin) / len(indices)
        return [self._cut(index, row, share) for index, row in zip(indices, rows, strict=True)]

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

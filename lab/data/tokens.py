"""Token ids of rendered conversations, and the characters that each token stands for. Called by `masks`.

A conversation is tokenised once and whole, so that its tokens are those of any other tool. The exception are tokenizers
to which the end of a prompt looks different when an answer follows: there prompt and answer are tokenised apart, as
generation will see them. Templates write all special tokens themselves, so the tokenizer adds none and no BOS is
doubled.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from lab.data.contents import Span
from lab.data.template import Template
from lab.data.turns import Rendered

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BATCH = 1000
"""Texts that go to the tokenizer at once; fast tokenizers spread them over the cores."""

THREADS = "TOKENIZERS_PARALLELISM"

TAIL = 256
"""Characters before an answer among which the header's special token is looked for."""


@dataclass(frozen=True)
class Tokens:
    """Token ids and the character spans that they stand for, in order."""

    ids: list[int]
    spans: list[Span]

    def first_from(self, character: int) -> int:
        """Return the index of the first token that starts at `character` or later."""
        return bisect_left(self.spans, (character,))

    def between(self, start: int, end: int) -> list[int]:
        """Return the ids of the tokens that start in this span."""
        return self.ids[self.first_from(start) : self.first_from(end)]


def tokenise(items: Sequence[Rendered], template: Template) -> list[Tokens]:
    """Return the tokens of each conversation, in their order."""
    batches = (items[start : start + BATCH] for start in range(0, len(items), BATCH))
    with _threads():
        return [tokens for batch in batches for tokens in _batch(batch, template)]


@contextmanager
def _threads() -> Iterator[None]:
    """Let a fast tokenizer use its threads: a worker switches them off, but only for the processes that it forks."""
    before = os.environ.get(THREADS)
    os.environ[THREADS] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ[THREADS]
        else:
            os.environ[THREADS] = before


def _batch(batch: Sequence[Rendered], template: Template) -> list[Tokens]:
    tokenizer = template.tokenizer
    if not tokenizer.is_fast:  # only fast ones tell where their tokens are
        return [_in_pieces(item, tokenizer) for item in batch]
    out = _ids([item.text for item in batch], tokenizer, return_offsets_mapping=True)
    tokens = [Tokens(ids, spans) for ids, spans in zip(out["input_ids"], out["offset_mapping"], strict=True)]
    tails = [[_tail(item.text, start, template) for start, _ in item.turns] for item in batch]
    texts = list({item.text[begin:end] for item, parts in zip(batch, tails, strict=True) for begin, end in parts})
    alone = dict(zip(texts, _ids(texts, tokenizer)["input_ids"], strict=True))
    return [
        whole
        if all(whole.between(*part) == alone[item.text[slice(*part)]] for part in parts)
        else _in_pieces(item, tokenizer)
        for item, whole, parts in zip(batch, tokens, tails, strict=True)
    ]


def _tail(text: str, start: int, template: Template) -> Span:
    """Return the end of the prompt before a turn: from its last special token on, which tokens never reach across."""
    tokens = list(template.control.finditer(text, max(0, start - TAIL), start))
    return (tokens[-1].start() if tokens else 0, start)


def _in_pieces(item: Rendered, tokenizer: PreTrainedTokenizerBase) -> Tokens:
    """Tokenise each turn, and what is between turns, by itself."""
    edges = [0, *(edge for span in item.turns for edge in span), len(item.text)]
    ids: list[int] = []
    spans: list[Span] = []
    for start, end in pairwise(edges):
        (piece,) = _ids([item.text[start:end]], tokenizer)["input_ids"]
        ids += piece
        spans += [(start, end)] * len(piece)
    return Tokens(ids, spans)


def _ids(texts: list[str], tokenizer: PreTrainedTokenizerBase, **options: bool) -> Any:
    return tokenizer(texts, add_special_tokens=False, return_attention_mask=False, verbose=False, **options)

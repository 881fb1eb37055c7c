"""The rows of an optimiser step as micro-batches of tensors: padded side by side, or packed one after the other.

Packed rows waste nothing: documents share one sequence, each attends to itself alone and counts its positions from 0.
Called by the trainer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, chain
from typing import Any

import torch

from lab.data.masks import Encoded
from lab.modeling.loss import IGNORED, supervised_prefix
from lab.training.recipe import Recipe
from lab.training.sampler import deal, pack

Batch = dict[str, Any]
"""A micro-batch: tensors for the model and the loss, and `counts` and `ids` (of its rows) about them.

Padded: input_ids, attention_mask, labels, each (rows, length), and prefix, the tokens that all rows begin with.
Packed: input_ids, position_ids, labels, each (1, tokens); cu_seq_lens, (documents + 1,) int32; max_length, at least
the longest document; predicting, (supervised,) int64, the positions whose next token is supervised. The first label
of a document is IGNORED, so that no token is predicted from another document.
"""

FIXED_MULTIPLE, FREE_MULTIPLE = 256, 16
"""Packed lengths are multiples of these: with few shapes for CUDA graphs, and else as tensor cores like them."""

VALIDATION_FACTOR, VALIDATION_TOKENS = 4, 16384
"""Validation keeps nothing for a backward pass: more goes through at once, but not beyond what is faster."""

LEAST_MAX_LENGTH = 128
"""With fixed shapes `max_length` is a power of two, at least this: few values, and the kernel's smallest block."""


@dataclass(frozen=True)
class StepCounts:
    """What went into a batch or a step: real tokens (padding left out), predicted supervised tokens, rows."""

    tokens: int = 0
    supervised: int = 0
    examples: int = 0

    def __add__(self, other: StepCounts) -> StepCounts:
        return StepCounts(
            self.tokens + other.tokens, self.supervised + other.supervised, self.examples + other.examples
        )


@dataclass(frozen=True)
class Step:
    """One optimiser step: its micro-batches, what it holds, and the ids of the rows in these micro-batches.

    Attributes:
        whole: what all processes' micro-batches hold; None where these are all.
    """

    batches: list[Batch]
    whole: StepCounts | None = None
    counts: StepCounts = field(init=False)
    ids: list[str] = field(init=False)

    def __post_init__(self) -> None:
        own = sum((batch["counts"] for batch in self.batches), StepCounts())
        object.__setattr__(self, "counts", self.whole or own)
        object.__setattr__(self, "ids", [row for batch in self.batches for row in batch["ids"]])


@dataclass(frozen=True)
class Layout:
    """How rows become micro-batches.

    Attributes:
        rows: at most so many rows a micro-batch; 0 for no limit.
        tokens: packed: at most so many tokens a micro-batch, unless one row alone is longer.
        multiple: packed: sequences are filled up to a multiple of it by a last document that teaches nothing, and
            numbers of documents to a power of two by empty ones, so that few shapes occur. 1 fills nothing up.
        share: padded: find what the rows of a micro-batch begin with, to be computed once.
        pin: put tensors into page-locked memory, from which a GPU fetches them on its own.
        ranks: processes that share the rows of a step.
    """

    packed: bool
    pad_token_id: int
    rows: int = 0
    tokens: int = 0
    multiple: int = 1
    share: bool = False
    pin: bool = False
    ranks: int = 1


def layout_of(recipe: Recipe, pad_token_id: int) -> Layout:
    """Return how the recipe lays rows out."""
    fixed = recipe.cuda_graph.value == "on"
    return Layout(
        packed=recipe.batching.value == "packed",
        pad_token_id=pad_token_id,
        rows=recipe.micro_batch.value,
        tokens=recipe.micro_tokens.value,
        multiple=FIXED_MULTIPLE if fixed else FREE_MULTIPLE if recipe.device.value == "cuda" else 1,
        share=recipe.shared_prefix.value,
        pin=recipe.device.value == "cuda",
        ranks=recipe.ranks.value,
    )


def validation_layout(layout: Layout) -> Layout:
    """Return how validation rows are laid out: packed, `VALIDATION_FACTOR` times the tokens of a training pass."""
    return replace(layout, tokens=min(VALIDATION_FACTOR * layout.tokens, max(layout.tokens, VALIDATION_TOKENS)))


class Batcher:
    """Makes a `Step` of the rows of an optimiser step; rows of a padded one should come longest first.

    Args:
        rank: whose share of the rows the micro-batches hold.
    """

    def __init__(self, layout: Layout, rank: int = 0) -> None:
        self.layout = layout
        self.rank = rank

    def __call__(self, rows: Sequence[Encoded]) -> Step:
        shares = self._shares(rows)
        batches = [self.batch([rows[place] for place in part]) for part in shares[self.rank]]
        return Step(batches, counts_of(rows) if len(shares) > 1 else None)

    def batch(self, rows: Sequence[Encoded]) -> Batch:
        """Return `rows` as one micro-batch."""
        made = (packed_batch if self.layout.packed else padded_batch)(rows, self.layout)
        return _pinned(made) if self.layout.pin else made

    def split(self, rows: Sequence[Encoded]) -> list[list[int]]:
        """Return the places of the rows that go through the model together, of all ranks."""
        return [part for share in self._shares(rows) for part in share]

    def _shares(self, rows: Sequence[Encoded]) -> list[list[list[int]]]:
        """Return the micro-batches of each rank, as places of rows."""
        if self.layout.ranks == 1:
            return [self._parts(rows)]
        dealt = deal([len(row.input_ids) for row in rows], self.layout.ranks)
        return [
            [[share[place] for place in part] for part in self._parts([rows[place] for place in share])]
            for share in dealt
        ]

    def _parts(self, rows: Sequence[Encoded]) -> list[list[int]]:
        limit = self.layout.rows or len(rows)
        if not self.layout.packed:
            return [list(range(start, min(start + limit, len(rows)))) for start in range(0, len(rows), limit)]
        lengths = [len(row.input_ids) for row in rows]
        bins = pack(lengths, max([self.layout.tokens, *lengths]))
        return [places[start : start + limit] for places in bins for start in range(0, len(places), limit)]

    def cost(self, rows: Sequence[Encoded]) -> int:
        """Return the tokens that `rows` take as one micro-batch, padding included."""
        lengths = [len(row.input_ids) for row in rows]
        return sum(lengths) if self.layout.packed else len(rows) * max(lengths)


def counts_of(rows: Sequence[Encoded]) -> StepCounts:
    """Return what `rows` hold; nothing predicts a row's first token."""
    supervised = sum(row.supervised - (row.labels[0] != IGNORED) for row in rows)
    return StepCounts(sum(len(row.input_ids) for row in rows), supervised, len(rows))


def longest_part(
    rows: Sequence[Encoded],
    steps: Iterable[list[int]],
    batcher: Batcher,
    cost: Callable[[Sequence[Encoded]], int] | None = None,
) -> list[Encoded]:
    """Return the rows of the micro-batch that takes the most tokens of all in `steps`, padding included.

    Args:
        cost: what is to be largest instead.
    """
    parts = (
        [rows[step[place]] for place in part] for step in steps for part in batcher.split([rows[row] for row in step])
    )
    return max(parts, key=cost or batcher.cost)


def padded_batch(rows: Sequence[Encoded], layout: Layout) -> Batch:
    """Return rows side by side, padded on the right."""
    longest = max(len(row.input_ids) for row in rows)
    ids = torch.full((len(rows), longest), layout.pad_token_id)
    labels = torch.full((len(rows), longest), IGNORED)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for index, row in enumerate(rows):
        length = len(row.input_ids)
        ids[index, :length] = torch.tensor(row.input_ids)
        labels[index, :length] = torch.tensor(row.labels)
        mask[index, :length] = 1
    counts = StepCounts(int(mask.sum()), int((labels[:, 1:] != IGNORED).sum()), len(rows))
    prefix = supervised_prefix([row.input_ids for row in rows], [row.labels for row in rows]) if layout.share else 0
    about = {"counts": counts, "ids": [row.id for row in rows]}
    return {"input_ids": ids, "labels": labels, "attention_mask": mask, "prefix": prefix, **about}


def packed_batch(rows: Sequence[Encoded], layout: Layout) -> Batch:
    """Return rows one after the other in one sequence."""
    lengths = [len(row.input_ids) for row in rows]
    real = sum(lengths)
    documents = lengths + ([fill] if (fill := -real % layout.multiple) else [])
    ids = torch.tensor([*chain.from_iterable(row.input_ids for row in rows), *[layout.pad_token_id] * fill])
    labels = torch.tensor([*chain.from_iterable(row.labels for row in rows), *[IGNORED] * fill])
    ends = [0, *accumulate(documents)]
    labels[ends[:-1]] = IGNORED
    predicting = (labels[1:] != IGNORED).nonzero()[:, 0]
    longest = max(documents)
    if layout.multiple > 1:
        ends += ends[-1:] * (_power_of_two(len(documents)) - len(documents))
        longest = min(max(_power_of_two(longest), LEAST_MAX_LENGTH), ends[-1])
    return {
        "input_ids": ids[None],
        "position_ids": torch.tensor([*chain.from_iterable(map(range, documents))])[None],
        "labels": labels[None],
        "cu_seq_lens": torch.tensor(ends, dtype=torch.int32),
        "max_length": longest,
        "predicting": predicting,
        "counts": StepCounts(real, len(predicting), len(rows)),
        "ids": [row.id for row in rows],
    }


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Return the micro-batch with its tensors on `device`, and without what is about it; nothing waits for the copy."""
    inputs = {name: value for name, value in batch.items() if name not in ("counts", "ids")}
    return {
        name: value.to(device, non_blocking=True) if isinstance(value, torch.Tensor) else value
        for name, value in inputs.items()
    }


def _pinned(batch: Batch) -> Batch:
    return {name: value.pin_memory() if isinstance(value, torch.Tensor) else value for name, value in batch.items()}


def _power_of_two(number: int) -> int:
    return 1 << (number - 1).bit_length()

"""Rows become tensors: what is where, what is counted, which shapes there are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from lab.data.masks import IGNORED, Encoded
from lab.training.batches import (
    Batcher,
    Layout,
    Step,
    StepCounts,
    longest_part,
    packed_batch,
    to_device,
    validation_layout,
)
from lab.training.sampler import StepSize, epoch_steps

PAD = 9


def row(name: str, ids: list[int], supervised: int) -> Encoded:
    """A row whose last `supervised` tokens are."""
    return Encoded(name, ids, [IGNORED] * (len(ids) - supervised) + ids[len(ids) - supervised :])


ROWS = [row("a", [1, 2, 3, 4, 5], 2), row("b", [6, 7, 8], 1), row("c", [1, 2], 2)]


def packed(**options: Any) -> Layout:
    return Layout(packed=True, pad_token_id=PAD, **{"tokens": 100, **options})


def padded(**options: Any) -> Layout:
    return Layout(packed=False, pad_token_id=PAD, **options)


def test_packed_rows_follow_each_other() -> None:
    (batch,) = Batcher(packed())(ROWS).batches
    assert batch["input_ids"].tolist() == [[1, 2, 3, 4, 5, 6, 7, 8, 1, 2]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 3, 4, 0, 1, 2, 0, 1]]
    no = IGNORED
    assert batch["labels"].tolist() == [[no, no, no, 4, 5, no, no, 8, no, 2]]  # c's first token follows nothing
    assert batch["predicting"].tolist() == [2, 3, 6, 8]
    assert batch["cu_seq_lens"].tolist() == [0, 5, 8, 10]
    assert batch["cu_seq_lens"].dtype == torch.int32
    assert batch["max_length"] == 5
    assert batch["counts"] == StepCounts(10, 4, 3)
    assert batch["ids"] == ["a", "b", "c"]


def test_a_last_document_fills_up_and_teaches_nothing() -> None:
    batch = packed_batch(ROWS, packed(multiple=8))
    assert batch["input_ids"].tolist() == [[1, 2, 3, 4, 5, 6, 7, 8, 1, 2, *[PAD] * 6]]
    assert batch["position_ids"][0, 10:].tolist() == list(range(6))
    assert batch["labels"][0, 10:].tolist() == [IGNORED] * 6
    assert batch["cu_seq_lens"].tolist() == [0, 5, 8, 10, 16]
    assert batch["predicting"].tolist() == [2, 3, 6, 8]
    assert batch["counts"] == StepCounts(10, 4, 3)
    assert batch["max_length"] == 16  # no longer than the sequence


def test_few_shapes_occur() -> None:
    shapes = set()
    for count in range(1, 40):
        rows = [row(str(n), list(range(1, 30 + n)), 5) for n in range(count)]
        batch = packed_batch(rows, packed(multiple=256))
        shapes.add((batch["input_ids"].shape[1], len(batch["cu_seq_lens"]), batch["max_length"]))
        assert batch["input_ids"].shape[1] % 256 == 0
        assert batch["cu_seq_lens"][-1] == batch["input_ids"].shape[1]
        assert batch["max_length"] >= int(batch["cu_seq_lens"].diff().max())
    assert {longest for _, _, longest in shapes} <= {128, 256, 512}
    assert {documents for _, documents, _ in shapes} <= {3, 5, 9, 17, 33, 65}


def test_padded_rows_lie_side_by_side() -> None:
    (batch,) = Batcher(padded(rows=3))(ROWS).batches
    assert batch["input_ids"].tolist() == [[1, 2, 3, 4, 5], [6, 7, 8, PAD, PAD], [1, 2, PAD, PAD, PAD]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 1, 0, 0, 0]]
    assert batch["labels"][1].tolist() == [IGNORED, IGNORED, 8, IGNORED, IGNORED]
    assert batch["counts"] == StepCounts(10, 4, 3)
    assert batch["prefix"] == 0


def test_padded_rows_share_what_they_begin_with() -> None:
    rows = [row(str(n), [*range(20), 30 + n, 40 + n], 1) for n in range(2)]
    assert Batcher(padded(rows=2, share=True))(rows).batches[0]["prefix"] == 20
    assert Batcher(padded(rows=2))(rows).batches[0]["prefix"] == 0


@pytest.mark.parametrize(
    ("layout", "parts"),
    [
        (padded(rows=2), [["a", "b"], ["c"]]),
        (padded(rows=1), [["a"], ["b"], ["c"]]),
        (padded(), [["a", "b", "c"]]),
        (packed(tokens=5), [["a"], ["b", "c"]]),
        (packed(tokens=8), [["a"], ["b", "c"]]),
        (packed(tokens=2), [["a"], ["b", "c"]]),
        (packed(rows=1), [["a"], ["b"], ["c"]]),
        (packed(), [["a", "b", "c"]]),
    ],
)
def test_a_step_is_split_by_rows_or_tokens(layout: Layout, parts: list[list[str]]) -> None:
    step = Batcher(layout)(ROWS)
    assert [batch["ids"] for batch in step.batches] == parts
    assert step.counts == StepCounts(10, 4, 3)
    assert sorted(step.ids) == ["a", "b", "c"]


def test_only_what_the_model_needs_goes_to_the_device() -> None:
    (batch,) = Batcher(packed())(ROWS).batches
    moved = to_device(batch, torch.device("meta"))
    assert moved.keys() == batch.keys() - {"counts", "ids"}
    assert moved["input_ids"].device.type == "meta"
    assert moved["max_length"] == 5


@pytest.mark.parametrize("layout", [padded(rows=2), packed(tokens=40)])
def test_the_longest_micro_batch_is_found(layout: Layout) -> None:
    rows = [row(str(n), list(range(1, 3 + n * 7 % 19)), 1) for n in range(24)]
    steps = epoch_steps([len(one.input_ids) for one in rows], StepSize(6), 1, 0)
    batcher = Batcher(layout)
    found = batcher.cost(longest_part(rows, steps, batcher))
    batches = [batch for step in steps for batch in batcher([rows[place] for place in step]).batches]
    assert found == max(batch["input_ids"].numel() for batch in batches)


def test_an_empty_step_counts_nothing() -> None:
    assert Step([]).counts == StepCounts()


@pytest.mark.parametrize(
    ("training", "validation"),
    [(2048, 8192), (8192, 16384), (16384, 16384), (20_000, 20_000), (0, 0)],
)
def test_validation_takes_more_at_once_than_training(training: int, validation: int) -> None:
    layout = Layout(packed=training > 0, pad_token_id=0, rows=4, tokens=training, multiple=256)
    found = validation_layout(layout)
    assert (found.tokens, found.rows, found.packed, found.multiple) == (validation, 4, training > 0, 256)


@pytest.mark.parametrize("layout", [packed(ranks=2), padded(ranks=2, rows=1)])
def test_ranks_share_the_rows_of_a_step(layout: Layout) -> None:
    whole = Batcher(replace(layout, ranks=1))(ROWS)
    shares = [Batcher(layout, rank)(ROWS) for rank in (0, 1)]
    assert [share.ids for share in shares] == [["a"], ["b", "c"]], "five tokens each"
    assert [share.counts for share in shares] == [whole.counts] * 2, "each knows what the step holds"
    assert Batcher(layout).split(ROWS) == [[place] for place in range(3)] if layout.rows else [[0], [1, 2]]


def test_a_rank_without_a_row_has_no_batch() -> None:
    first, second = (Batcher(packed(ranks=2), rank)(ROWS[:1]) for rank in (0, 1))
    assert (first.ids, second.batches) == (["a"], [])
    assert second.counts == StepCounts(5, 2, 1)

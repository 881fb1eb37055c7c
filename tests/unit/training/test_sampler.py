"""The order of rows, from the seed alone."""

from __future__ import annotations

import pytest
import torch
from torch.utils.data import DataLoader

from lab.training.sampler import StepSampler

LENGTHS = [17 * n % 23 + 1 for n in range(50)]


def order(seed: int = 42, epoch: int = 0, step: int = 8) -> list[int]:
    sampler = StepSampler(LENGTHS, step, seed)
    sampler.set_epoch(epoch)
    return list(sampler)


def steps(rows: list[int], size: int = 8) -> list[list[int]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


@pytest.mark.parametrize("step", [1, 7, 8, 50, 64])
def test_every_row_comes_once_an_epoch(step: int) -> None:
    assert sorted(order(step=step)) == list(range(50))
    assert len(StepSampler(LENGTHS, step, 1)) == 50


def test_rows_of_a_step_come_longest_first() -> None:
    for rows in steps(order()):
        lengths = [LENGTHS[row] for row in rows]
        assert lengths == sorted(lengths, reverse=True)
    whole = [LENGTHS[row] for row in order()]
    assert whole != sorted(whole, reverse=True)


@pytest.mark.parametrize("micro_batch", [1, 2, 4, 8])
def test_a_step_has_the_same_rows_however_it_is_split(micro_batch: int) -> None:
    loader = DataLoader(list(range(50)), batch_size=micro_batch, sampler=StepSampler(LENGTHS, 8, 42))  # type: ignore[arg-type]
    drawn = [row for batch in loader for row in batch.tolist()]
    assert steps(drawn) == steps(order())


def test_each_epoch_has_an_order_of_its_own() -> None:
    first, second = order(epoch=0), order(epoch=1)
    assert first != second
    assert {frozenset(rows) for rows in steps(first)} != {frozenset(rows) for rows in steps(second)}


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    before = order(seed=7, epoch=3)
    torch.manual_seed(999)
    torch.rand(5)
    assert order(seed=7, epoch=3) == before
    assert order(seed=8, epoch=3) != before
    assert order(seed=7, epoch=4) != order(seed=8, epoch=3)


def test_drawing_leaves_torchs_own_generator_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    order()
    assert torch.equal(torch.rand(3), expected)

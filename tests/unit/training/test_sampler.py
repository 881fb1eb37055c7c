"""Which rows a step sees: from lengths and seed alone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch.utils.data import DataLoader

from lab.training.sampler import WINDOW_STEPS, StepSampler, StepSize, count_steps, epoch_steps, pack

LENGTHS = [17 * n % 23 + 1 for n in range(50)]
EIGHT = StepSize(8)
PACKED = StepSize(8, 64)


def steps(size: StepSize = EIGHT, seed: int = 42, epoch: int = 0, lengths: Sequence[int] = LENGTHS) -> list[list[int]]:
    return epoch_steps(lengths, size, seed, epoch)


def flat(found: list[list[int]]) -> list[int]:
    return [row for step in found for row in step]


@pytest.mark.parametrize("size", [*(StepSize(n) for n in (1, 7, 8, 50, 64)), PACKED, StepSize(8, 23), StepSize(8, 999)])
def test_every_row_comes_once_an_epoch(size: StepSize) -> None:
    assert sorted(flat(steps(size))) == list(range(50))


@pytest.mark.parametrize("size", [EIGHT, PACKED])
def test_rows_of_a_step_come_longest_first(size: StepSize) -> None:
    for rows in steps(size):
        assert [LENGTHS[row] for row in rows] == sorted((LENGTHS[row] for row in rows), reverse=True)
    whole = [LENGTHS[row] for row in flat(steps(size))]
    assert whole != sorted(whole, reverse=True)


@pytest.mark.parametrize(("examples", "sizes"), [(8, [8] * 6 + [2]), (50, [50]), (64, [50]), (1, [1] * 50)])
def test_steps_of_examples_hold_exactly_so_many(examples: int, sizes: list[int]) -> None:
    assert [len(rows) for rows in steps(StepSize(examples))] == sizes


@pytest.mark.parametrize("tokens", [23, 40, 64, 500])
def test_steps_of_tokens_never_hold_more_and_are_about_full(tokens: int) -> None:
    held = [sum(LENGTHS[row] for row in rows) for rows in steps(StepSize(8, tokens))]
    assert max(held) <= tokens
    assert len(held) <= 1.2 * sum(LENGTHS) / tokens + 1


@pytest.mark.parametrize(
    ("size", "epochs", "count"), [(StepSize(5), 1.1, 11), (StepSize(5), 1.15, 12), (StepSize(5), 2.3, 23)]
)
def test_part_of_an_epoch_is_counted_in_decimals(size: StepSize, epochs: float, count: int) -> None:
    assert count_steps(LENGTHS, size, 42, epochs) == count, "1.1 x 10 is more than 11 in binary"


def test_part_of_a_packed_epoch_is_counted_in_decimals() -> None:
    lengths, one = [23] * 20, StepSize(1, 23)
    assert len(steps(one, lengths=lengths)) == 20
    assert count_steps(lengths, one, 42, 1.1) == 22


@pytest.mark.parametrize("size", [EIGHT, PACKED])
def test_each_epoch_has_steps_of_its_own(size: StepSize) -> None:
    first, second = steps(size, epoch=0), steps(size, epoch=1)
    assert first != second
    assert {frozenset(rows) for rows in first} != {frozenset(rows) for rows in second}


@pytest.mark.parametrize("size", [EIGHT, PACKED])
def test_steps_depend_on_seed_and_epoch_alone(size: StepSize) -> None:
    before = steps(size, seed=7, epoch=3)
    torch.manual_seed(999)
    expected = torch.rand(3)
    torch.manual_seed(999)
    assert steps(size, seed=7, epoch=3) == before
    assert torch.equal(torch.rand(3), expected)
    assert steps(size, seed=8, epoch=3) != before
    assert steps(size, seed=7, epoch=4) != steps(size, seed=8, epoch=3)


@pytest.mark.parametrize("size", [EIGHT, PACKED])
def test_a_run_goes_through_its_epochs_and_a_longer_one_begins_as_a_shorter_one(size: StepSize) -> None:
    whole = [*steps(size, epoch=0), *steps(size, epoch=1), *steps(size, epoch=2)]
    total = len(whole) - 2
    assert list(StepSampler(LENGTHS, size, 42, total)) == whole[:total]
    assert list(StepSampler(LENGTHS, size, 42, 5)) == whole[:5]
    assert len(StepSampler(LENGTHS, size, 42, total)) == total


def test_a_data_loader_takes_a_step_as_a_batch() -> None:
    loader = DataLoader(LENGTHS, batch_sampler=StepSampler(LENGTHS, EIGHT, 42, 7), collate_fn=list)  # type: ignore[arg-type]
    assert list(loader) == [[LENGTHS[row] for row in rows] for rows in steps()]


@pytest.mark.parametrize(
    ("size", "epochs", "expected"),
    [
        (EIGHT, 1.0, 7),
        (EIGHT, 3.0, 21),
        (EIGHT, 0.5, 4),
        (EIGHT, 2.1, 15),
        (StepSize(100), 1.0, 1),
        (PACKED, 0.01, 1),
    ],
)
def test_steps_are_counted(size: StepSize, epochs: float, expected: int) -> None:
    assert count_steps(LENGTHS, size, 42, epochs) == expected


def test_packed_steps_are_counted_epoch_by_epoch() -> None:
    size = StepSize(8, 31)
    each = [len(steps(size, epoch=epoch)) for epoch in range(4)]
    assert count_steps(LENGTHS, size, 42, 3.0) == sum(each[:3])
    assert sum(each[:3]) < count_steps(LENGTHS, size, 42, 3.5) < sum(each)


def test_a_long_epoch_is_packed_window_by_window() -> None:
    lengths = [1 + n * 7919 % 97 for n in range(4000)]
    found = steps(StepSize(1, 200), lengths=lengths)
    assert sorted(flat(found)) == list(range(4000))
    held = [sum(lengths[row] for row in rows) for rows in found]
    assert max(held) <= 200
    assert sum(held) / len(held) > 0.95 * 200
    order = torch.randperm(4000, generator=torch.Generator().manual_seed(42 * 1_000_003)).tolist()
    place = {row: index for index, row in enumerate(order)}
    spread = max(max(place[row] for row in rows) - min(place[row] for row in rows) for rows in found)
    assert spread < 3 * WINDOW_STEPS * 200 / (sum(lengths) / len(lengths))


@pytest.mark.parametrize(
    ("lengths", "capacity", "bins"),
    [
        ([], 10, 0),
        ([10], 10, 1),
        ([5, 5, 5, 5], 10, 2),
        ([6, 6, 6], 10, 3),
        ([7, 3, 6, 4, 5, 5], 10, 3),
        ([4, 4, 4, 3, 3, 3, 3], 12, 2),
        ([1] * 30, 10, 3),
    ],
)
def test_bins_are_as_few_as_can_be(lengths: list[int], capacity: int, bins: int) -> None:
    found = pack(lengths, capacity)
    assert len(found) == bins
    assert sorted(place for places in found for place in places) == list(range(len(lengths)))
    assert all(sum(lengths[place] for place in places) <= capacity for places in found)


def test_bins_are_about_equally_full_and_mix_long_and_short() -> None:
    lengths = [1 + n * 7919 % 50 for n in range(200)]
    found = pack(lengths, 600)
    held = [sum(lengths[place] for place in places) for places in found]
    assert max(held) - min(held) < 50
    assert all(lengths[places[0]] > 35 and lengths[places[-1]] < 15 for places in found)

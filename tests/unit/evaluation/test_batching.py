"""Which prompts are answered together."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from lab.evaluation.batching import Batch, plan_batches, window_of


@pytest.mark.parametrize(
    ("lengths", "size", "sizes"),
    [([5, 9, 7], 2, [2, 1]), ([1] * 65, 64, [33, 32]), ([1] * 64, 64, [64]), ([], 8, []), ([3], 8, [1])],
)
def test_batches_are_even_and_no_larger_than_asked(lengths: list[int], size: int, sizes: list[int]) -> None:
    assert [len(batch.indices) for batch in plan_batches(lengths, size, 16, None)] == sizes


def test_the_longest_prompts_come_first() -> None:
    batches = plan_batches([5, 9, 7, 9], 2, 16, None)
    assert [batch.indices for batch in batches] == [(1, 3), (2, 0)]


def test_prompts_near_the_end_of_the_window_are_answered_with_others_of_their_cap() -> None:
    batches = plan_batches([10, 95, 20, 95, 99, 120], 8, 16, 100)
    assert [(batch.indices, batch.cap) for batch in batches] == [((5, 4), 1), ((1, 3), 5), ((2, 0), 16)]


def test_a_batch_is_halved_without_losing_anyone() -> None:
    first, second = Batch((4, 2, 7), 16).halves()
    assert (first, second) == (Batch((4, 2), 16), Batch((7,), 16))


@pytest.mark.parametrize(("value", "window"), [(512, 512), (None, None), (0, None)])
def test_the_window_is_what_the_configuration_says(value: int | None, window: int | None) -> None:
    inner = SimpleNamespace(max_position_embeddings=value)
    assert window_of(SimpleNamespace(get_text_config=lambda: inner)) == window

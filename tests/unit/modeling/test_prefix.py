"""What rows have in common, and which models can share it."""

from __future__ import annotations

from typing import Any

import pytest
from transformers import (
    Gemma2Config,
    LlamaConfig,
    MambaConfig,
    MistralConfig,
    PretrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

from lab.modeling.prefix import WORTH, can_share, common_prefix

HEAD = list(range(100, 120))


@pytest.mark.parametrize(
    ("rows", "limit", "length"),
    [
        ([], 99, 0),
        ([HEAD], 99, 0),
        ([[*HEAD, 1], [*HEAD, 2]], 99, 20),
        ([[*HEAD, 1, 5], [*HEAD, 2, 5], [*HEAD, 1, 6]], 99, 20),
        ([[*HEAD, 3], [*HEAD, 1], [*HEAD[:17], 9, 9, 9, 9]], 99, 17),
        ([[*HEAD, 1], HEAD], 99, 20),
        ([HEAD, HEAD], 99, 20),
        ([[*HEAD, 1], [*HEAD, 2]], 18, 18),
        ([[*HEAD, 1], [*HEAD, 2]], WORTH, WORTH),
        ([[*HEAD, 1], [*HEAD, 2]], WORTH - 1, 0),
        ([[*HEAD, 1], [*HEAD, 2]], -1, 0),
        ([[*HEAD[:15], 1, 7], [*HEAD[:15], 2, 7]], 99, 0),
        ([[1, *HEAD], [2, *HEAD]], 99, 0),
        ([HEAD, []], 99, 0),
    ],
)
def test_common_beginning(rows: list[list[int]], limit: int, length: int) -> None:
    assert common_prefix(rows, limit) == length
    assert common_prefix(rows[::-1], limit) == length


@pytest.mark.parametrize(
    ("config", "sharable"),
    [
        (LlamaConfig(num_hidden_layers=2), True),
        (Qwen2Config(num_hidden_layers=2), True),
        (Qwen3Config(num_hidden_layers=2), True),
        (MistralConfig(num_hidden_layers=2, sliding_window=None), True),
        (MistralConfig(num_hidden_layers=2, sliding_window=4096), False),
        (Qwen2Config(num_hidden_layers=2, use_sliding_window=True, max_window_layers=1), False),
        (Gemma2Config(num_hidden_layers=2), False),
        (MambaConfig(num_hidden_layers=2), False),
        (PretrainedConfig(), False),
    ],
    ids=lambda value: value.model_type if isinstance(value, PretrainedConfig) else str(value),
)
def test_only_plain_keys_and_values_are_shared(config: Any, sharable: bool) -> None:
    assert can_share(config) is sharable

"""Computing once what all rows of a batch begin with: the system prompt of a task.

Attention is causal, so the states of a common beginning do not depend on what follows. They are computed for one row
and handed to all; in training the gradients of the rows add up in them. Loss and gradients are those of the plain
pass up to rounding (tested), at the cost of the tokens that differ. Called by the loss and by generation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from transformers import Cache

FAMILIES = ("llama", "mistral", "qwen2", "qwen3", "phi3", "smollm3")
WORTH = 16
"""Shorter beginnings are not worth a second pass through the layers."""


def common_prefix(rows: Sequence[Sequence[int]], limit: int) -> int:
    """Return how many tokens all `rows` begin with, at most `limit`; 0 where it is not worth sharing."""
    if len(rows) < 2:
        return 0
    ordered = sorted(map(list, rows))
    first, last = ordered[0], ordered[-1]  # in dictionary order: what these two share, all share
    length = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    length = min(length, limit)
    return length if length >= WORTH else 0


def can_share(config: Any) -> bool:
    """Tell whether a model of this configuration keeps plain keys and values, which rows can share.

    Sliding windows and recurrent states cannot be handed on; families that nobody tried are left out.
    """
    text = config.get_text_config()
    kinds = set(getattr(text, "layer_types", None) or ["full_attention"])
    return text.model_type in FAMILIES and kinds == {"full_attention"} and not getattr(text, "sliding_window", None)


def shared_states(decoder: Any, prefix: Tensor, rows: int) -> Cache:
    """Return keys and values of `prefix`, (1, length), for `rows` rows; gradients flow back through them."""
    from transformers import DynamicCache

    cache = DynamicCache(config=decoder.config)
    decoder(input_ids=prefix, past_key_values=cache, use_cache=True)
    cache.batch_repeat_interleave(rows)
    return cache

"""Which prompts are answered together, and with how many tokens at most. Called by `evaluation.generate`."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Batch:
    """Prompts that are answered at once.

    Attributes:
        indices: of the prompts, the longest first.
        cap: most tokens an answer may have.
    """

    indices: tuple[int, ...]
    cap: int

    def halves(self) -> tuple[Batch, Batch]:
        """Return the batch as two: what memory was too small for at once."""
        middle = (len(self.indices) + 1) // 2
        return Batch(self.indices[:middle], self.cap), Batch(self.indices[middle:], self.cap)


def plan_batches(lengths: Sequence[int], size: int, max_new_tokens: int, window: int | None) -> deque[Batch]:
    """Return batches of prompts of like length, the longest first: memory runs out at once or never.

    A prompt near the end of the model's window has room for fewer tokens. It is answered with others of its own cap,
    so that nobody's answer depends on who is in its batch. Batches of one cap are of like size, since a small last one
    takes as long as a full one.

    Args:
        lengths: tokens of each prompt.
        size: most prompts a batch.
        window: tokens that the model can attend to; None where that is not known.
    """
    groups: dict[int, list[int]] = {}
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        room = max_new_tokens if window is None else max(1, window - lengths[index])
        groups.setdefault(min(max_new_tokens, room), []).append(index)
    batches: deque[Batch] = deque()
    for cap, members in groups.items():
        even = math.ceil(len(members) / math.ceil(len(members) / size))
        batches += [Batch(tuple(members[start : start + even]), cap) for start in range(0, len(members), even)]
    return batches


def window_of(config: object) -> int | None:
    """Return how many tokens a model of this configuration can attend to; None where it does not say."""
    text = getattr(config, "get_text_config", lambda: config)()
    window = getattr(text, "max_position_embeddings", None)
    return window if isinstance(window, int) and window > 0 else None

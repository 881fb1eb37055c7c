"""Answering by likelihood: the label that the model finds likeliest as the whole answer. Called by `evaluation.run`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lab.data.masks import Encoded
from lab.evaluation.perplexity import reference_nll

ROWS = 64
"""Rows between two looks at whether somebody wants to stop."""


@dataclass(frozen=True)
class Chosen:
    """One row's choice.

    Attributes:
        nll: of each label, the end of the turn included: (sum in nats, tokens), by label.
        seconds: the row's share of its batch.
    """

    index: int
    label: str
    nll: dict[str, tuple[float, int]]
    seconds: float


def choose(
    model: Any,
    labels: Sequence[str],
    choices: Sequence[Sequence[Encoded]],
    pad: int,
    *,
    share: bool = False,
    stop_asked: Callable[[], bool] = lambda: False,
) -> Iterator[list[Chosen]]:
    """Yield each row's likeliest label, many rows at a time.

    The likelihood of a label is that of all its tokens and of the turn's end, not divided by their number: they are
    complete answers to one question, so their probabilities can be compared as they are.

    Args:
        choices: for each row the conversation with each label as its answer, only that supervised.
    """
    for start in range(0, len(choices), ROWS):
        batch = choices[start : start + ROWS]
        begin = time.monotonic()
        tried = [one for row in batch for one in row]
        found = reference_nll(model, tried, pad, share=share, stop_asked=stop_asked)
        if stop_asked():
            return
        seconds = (time.monotonic() - begin) / len(batch)
        width = len(labels)
        for_rows = [dict(zip(labels, found[i * width : (i + 1) * width], strict=True)) for i in range(len(batch))]
        yield [
            Chosen(start + i, min(nll, key=lambda label: nll[label][0]), nll, seconds) for i, nll in enumerate(for_rows)
        ]

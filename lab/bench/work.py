"""How much there is to do in a run, and how fast: what the estimate of its time is made of. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """Tokens that a run works through.

    Attributes:
        train: trained, over all steps.
        forward: seen without gradients: validation, perplexity, prompts that are read.
        answers: generated; a row of a batch runs on until the longest answer of the batch is done.
    """

    train: float
    forward: float
    answers: float


@dataclass(frozen=True)
class Speeds:
    """What was measured, None where there was nothing to measure it on.

    Attributes:
        start_seconds: from the start of the process to prepared data.
        load_seconds: to load the model.
    """

    start_seconds: float
    load_seconds: float
    train_tokens_per_second: float | None
    forward_tokens_per_second: float | None
    generated_tokens_per_second: float | None

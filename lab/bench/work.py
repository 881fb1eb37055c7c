"""How much there is to do in a run, and how fast: what the estimate of its time is made of. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """Tokens that go through the model in a run: padding is in them, what a batch shares counts once.

    Attributes:
        train: forward and backward, over all steps.
        steps: of the optimiser.
        forward: without gradients: validation, perplexity, prompts that are read.
        answers: generated; a row of a batch runs on until the longest answer of the batch is done.
    """

    train: float
    steps: int
    forward: float
    answers: float


@dataclass(frozen=True)
class Speeds:
    """What was measured, None where there was nothing to measure it on.

    Attributes:
        start_seconds: from the start of the process to prepared data.
        load_seconds: to load the model.
        step_seconds: of the optimiser in each step, without forward and backward.
    """

    start_seconds: float
    load_seconds: float
    train_tokens_per_second: float | None
    step_seconds: float
    forward_tokens_per_second: float | None
    generated_tokens_per_second: float | None


def seconds_of(work: Work, speeds: Speeds) -> float | None:
    """Return how long a run takes; None where a speed is missing for what there is to do."""
    total = speeds.start_seconds + speeds.load_seconds + work.steps * speeds.step_seconds
    for tokens, speed in (
        (work.train, speeds.train_tokens_per_second),
        (work.forward, speeds.forward_tokens_per_second),
        (work.answers, speeds.generated_tokens_per_second),
    ):
        if tokens and not speed:
            return None
        total += tokens / speed if speed else 0.0
    return total

"""What a run is watched for while it trains: losses that are no number, gradients of zero. Called by its callback."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from lab.errors import TrainingError
from lab.text import plural, sanitize

NAMED_ROWS = 8
SKIPPED_SHARE = 0.1  # of the steps: fp16 skips a few at first, while it looks for its loss scale


class Guard:
    """Judges each step.

    Args:
        alert: takes a line for people.
    """

    def __init__(self, alert: Callable[[str], None]) -> None:
        self._alert = alert
        self._steps = 0
        self._zero = 0
        self._infinite = 0

    def check(self, step: int, loss: float, grad_norm: float, suspects: Callable[[], Sequence[str]]) -> None:
        """Take note of a step.

        Args:
            suspects: the ids of the rows that may be at fault; asked only if the loss is no number.

        Raises:
            TrainingError: it is none.
        """
        if not math.isfinite(loss):
            raise TrainingError(
                f"The loss became {loss} at step {step}, over {name_rows(suspects())}.",
                "Look at these rows, or lower train.learning_rate.",
            )
        self._steps += 1
        self._infinite += not math.isfinite(grad_norm)
        self._zero += grad_norm == 0.0
        if grad_norm == 0.0 and self._zero == 1:
            self._alert(f"The gradient was zero at step {step}: nothing was learnt. More such steps are counted.")

    def sum_up(self) -> None:
        """Tell how often it was, where that is worth a line."""
        if self._zero > 1:
            self._alert(f"The gradient was zero in {plural(self._zero, 'step')} of {self._steps}.")
        if self._infinite > SKIPPED_SHARE * self._steps:
            self._alert(f"The gradient was not finite in {plural(self._infinite, 'step')} of {self._steps}.")


def suspects(losses: Sequence[float], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the ids of the micro-batches whose loss is no number; of all where each has one, and only the sum none.

    Args:
        losses: of the micro-batches of a step.
        rows: their rows' ids.
    """
    bad = [ids for loss, ids in zip(losses, rows, strict=True) if not math.isfinite(loss)]
    return [one for ids in bad or rows for one in ids]


def name_rows(ids: Sequence[str]) -> str:
    """Return "rows a, b, c and 5 more"."""
    if not ids:
        return "rows that are not known"
    more = f" and {len(ids) - NAMED_ROWS} more" if len(ids) > NAMED_ROWS else ""
    named = ", ".join(sanitize(one, newlines=False, limit=60) for one in ids[:NAMED_ROWS])
    return f"{'row' if len(ids) == 1 else 'rows'} {named}{more}"

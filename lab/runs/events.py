"""The lines of `events.jsonl`: what a worker says about a run, in the order in which it happened.

Every event holds `schema`, `t` (Unix seconds), `type`, `attempt` (1, 2 ... after each resume) and `step` (optimiser
steps finished). By type:

    phase       phase (queued | starting | training | evaluating), detail (a line for people)
    step        loss, lr, grad_norm, tokens, supervised, examples, seconds, memory_bytes     for this one step
    eval        loss, rows, tokens, seconds                                                  validation rows
    checkpoint  path (relative), bytes, seconds
    alert       level (warning | error), text
    resume      from_step: the steps after it are replayed and supersede the earlier ones
    end         outcome (completed | stopped | failed), reason, remedy
"""

from __future__ import annotations

import time
from typing import Any

SCHEMA = 1
PHASES = ("queued", "starting", "training", "evaluating")
OUTCOMES = ("completed", "stopped", "failed")
TYPES = ("phase", "step", "eval", "checkpoint", "alert", "resume", "end")


def event(kind: str, *, attempt: int, step: int, **fields: Any) -> dict[str, Any]:
    """Return one event of `kind`, stamped with the time of now.

    Raises:
        ValueError: no such kind, phase or outcome: a mistake in the lab, not in its use.
    """
    if kind not in TYPES:
        raise ValueError(f"unknown event type {kind!r}")
    if kind == "phase" and fields["phase"] not in PHASES:
        raise ValueError(f"unknown phase {fields['phase']!r}")
    if kind == "end" and fields["outcome"] not in OUTCOMES:
        raise ValueError(f"unknown outcome {fields['outcome']!r}")
    return {"schema": SCHEMA, "t": time.time(), "type": kind, "attempt": attempt, "step": step, **fields}

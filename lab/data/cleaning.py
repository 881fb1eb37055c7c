"""Rows that cannot be trained on, and rows that say the same twice. Called by `read` before the splits are drawn."""

from __future__ import annotations

from collections.abc import Sequence

from lab.data import tally as reasons
from lab.data.rows import Message, Row, exchange_hash
from lab.data.tally import Tally


def problem(messages: Sequence[Message], train_on: str) -> str | None:
    """Return why a conversation cannot be trained on, or None.

    Args:
        train_on: "last" supervises one answer, so earlier ones may be empty.
    """
    answers = [message.content for message in messages if message.role == "assistant"]
    if not answers:
        return reasons.NO_ASSISTANT
    supervised = answers[-1:] if train_on == "last" else answers
    return None if all(answer.strip() for answer in supervised) else reasons.EMPTY_ANSWER


def until_last_answer(messages: Sequence[Message]) -> list[Message]:
    """Return the conversation up to its last assistant turn: what follows can neither be learned nor asked."""
    last = max((i for i, message in enumerate(messages) if message.role == "assistant"), default=len(messages) - 1)
    return list(messages[: last + 1])


def dedupe(rows: Sequence[Row], seen: set[str], tally: Tally) -> list[Row]:
    """Return the rows whose user and assistant texts are not in `seen` yet, the first of each; `seen` grows."""
    kept = []
    for row in rows:
        key = exchange_hash(row)
        if key in seen:
            tally.drop(reasons.DUPLICATE, row.id)
        else:
            seen.add(key)
            kept.append(row)
    return kept

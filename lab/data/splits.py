"""The seeded draw of train, validation and test rows. Called by `read`.

Rows are ordered by a hash of seed and content. So their place in the file and what other sources hold do not matter, a
larger train split does not move the test rows, and a row that is added moves at most one other across a boundary.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lab.data.rows import Row, exchange_hash


@dataclass(frozen=True)
class Draw:
    """Rows of each split; `aside` are rows of a group that a held-out split already took from, used nowhere."""

    train: list[Row]
    validation: list[Row]
    test: list[Row]
    aside: list[Row]


def draw(rows: Sequence[Row], train: int, validation: int, test: int, seed: int) -> Draw:
    """Split `rows` at random; rows of one group, or with the same exchange, never end up on two sides.

    Args:
        train: rows to draw; 0 takes all that the others leave.
    """
    queue = deque(_groups(rows, seed))
    aside: list[Row] = []
    tested = _take(queue, test, aside)
    validated = _take(queue, validation, aside)
    left = [row for group in queue for row in group]
    return Draw(left[: train or len(left)], validated, tested, aside)


def sample(rows: Sequence[Row], count: int, seed: int) -> list[Row]:
    """Draw `count` rows at random, of whatever group; 0 takes all."""
    ordered = sorted(rows, key=lambda row: _rank(seed, exchange_hash(row) + row.id))
    return ordered[: count or len(ordered)]


def leaked(splits: dict[str, list[Row]], *, grouped: bool = False) -> Iterator[tuple[str, Row]]:
    """Yield (split, row) for rows that must go: what the test rows hold is kept out of validation and train, too.

    Args:
        grouped: the groups of rows, not only what they say, must not be held by an earlier one.
    """
    held: set[str] = set()
    groups: set[str] = set()
    for name in ("test", "validation", "train"):
        hashes = [exchange_hash(row) for row in splits[name]]
        yield from (
            (name, row) for row, key in zip(splits[name], hashes, strict=True) if key in held or row.group in groups
        )
        held.update(hashes)
        groups.update(row.group for row in splits[name] if grouped and row.group)


def _groups(rows: Sequence[Row], seed: int) -> list[list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.group or exchange_hash(row), []).append(row)
    return [groups[key] for key in sorted(groups, key=lambda key: _rank(seed, key))]


def _rank(seed: int, key: str) -> bytes:
    return hashlib.sha256(f"{seed}:{key}".encode()).digest()


def _take(queue: deque[list[Row]], count: int, aside: list[Row]) -> list[Row]:
    taken: list[Row] = []
    while len(taken) < count and queue:
        group, room = queue.popleft(), count - len(taken)
        taken += group[:room]
        aside += group[room:]
    return taken

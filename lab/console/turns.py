"""The screen goes first: the thread that reads rests while another page is laid out.

Both run Python, so a reader that goes on doubles the time until the page stands. A process has one screen, and this
module holds its one moment.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

PAGE_SECONDS = 0.1
"""What a page takes until it stands, a first visit included."""

_free_at = 0.0


def screen_busy() -> None:
    """Note that a page is about to be laid out. Called in the app's own thread."""
    global _free_at
    _free_at = time.monotonic() + PAGE_SECONDS


def give_way(at_least: float = 0.0) -> None:
    """Rest until the screen is free, for `at_least` so many seconds. Called by the reader between pieces of work."""
    seconds = max(at_least, min(_free_at - time.monotonic(), PAGE_SECONDS))
    if seconds > 0:
        time.sleep(seconds)


def politely(items: Iterable[Item]) -> Iterator[Item]:
    """Yield `items`, giving way before each."""
    for item in items:
        give_way()
        yield item

"""The bundled data set `bundled:helpdesk`: messages to a made-up shop, each answered by one line of JSON.

Written by this project and made by a seeded generator, so that the demo needs no download and no licence. `lab.data`
reads it through `rows`. The test split uses customers, products and sentence plans that the others do not.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from lab.data.helpdesk.generate import STYLES, Ticket, tickets
from lab.data.helpdesk.labels import SYSTEM_PROMPT
from lab.errors import NotFoundError
from lab.text import did_you_mean

COUNTS = {"train": 800, "validation": 100, "test": 200}


def rows(split: str) -> list[dict[str, Any]]:
    """Return the rows of a split as chats: `{"id", "plan", "messages": [system, user, assistant]}`.

    Raises:
        NotFoundError: there is no such split.
    """
    if split not in COUNTS:
        names = ", ".join(COUNTS)
        raise NotFoundError(
            f"The data set bundled:helpdesk has no split '{split}'.{did_you_mean(split, COUNTS)}",
            f"Its splits are: {names}.",
        )
    return [_row(f"helpdesk-{split}-{number:04d}", ticket) for number, ticket in enumerate(_splits()[split], 1)]


@cache
def _splits() -> dict[str, list[Ticket]]:
    taken: set[str] = set()
    return {split: tickets(STYLES[split], count, taken) for split, count in COUNTS.items()}


def _row(identifier: str, ticket: Ticket) -> dict[str, Any]:
    messages = [
        {"role": "system", "content": SYSTEM_PROMPT},
        {"role": "user", "content": ticket.message},
        {"role": "assistant", "content": ticket.answer.json()},
    ]
    return {"id": identifier, "plan": ticket.plan, "messages": messages}

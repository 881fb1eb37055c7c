"""Conversations with a run's model, kept with the run: one JSON-lines file each under `chats/`."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.home import make_private
from lab.runs.appendlog import AppendLog
from lab.runs.paths import RunPaths
from lab.runs.reader import read_all

FOLDER = "chats"


@dataclass(frozen=True)
class Turn:
    """One thing that was said.

    Attributes:
        who: "system", "user", or the model that answered: "tuned" or "base".
        facts: of an answer: tokens, seconds, first_token_seconds, finish.
    """

    who: str
    text: str
    facts: dict[str, Any]


class Conversation:
    """A conversation that is written down as it goes; its file is made with the first turn."""

    def __init__(self, run: RunPaths, name: str = "") -> None:
        self.run = run
        self.name = name or f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"
        self.turns: list[Turn] = [_turn(record) for record in read_all(self.path) if "who" in record]

    @property
    def path(self) -> Path:
        return self.run.folder / FOLDER / f"{self.name}.jsonl"

    def add(self, who: str, text: str, **facts: Any) -> None:
        """Write down one turn. Raises OutOfSpaceError where the disk is full."""
        make_private(self.path.parent)
        log = AppendLog(self.path)
        try:
            log.append({"schema": 1, "t": time.time(), "who": who, "text": text, **facts})
        finally:
            log.close()
        self.turns.append(Turn(who, text, facts))

    def messages(self, who: str) -> list[dict[str, str]]:
        """Return the conversation as the model `who` knows it: its own answers, nobody else's.

        A question that it never answered is left out, unless it is the last: many templates refuse two in a row.
        """
        roles = {"system": "system", "user": "user", who: "assistant"}
        said = [{"role": roles[turn.who], "content": turn.text} for turn in self.turns if turn.who in roles]
        after = [*(message["role"] for message in said[1:]), ""]
        return [one for one, role in zip(said, after, strict=True) if (one["role"], role) != ("user", "user")]


def _turn(record: dict[str, Any]) -> Turn:
    facts = {key: value for key, value in record.items() if key not in ("schema", "t", "who", "text")}
    return Turn(str(record["who"]), str(record.get("text", "")), facts)


def list_conversations(run: RunPaths) -> Sequence[str]:
    """Return the names of the run's conversations, the newest first."""
    return sorted((path.stem for path in (run.folder / FOLDER).glob("*.jsonl")), reverse=True)

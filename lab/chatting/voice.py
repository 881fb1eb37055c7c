"""What answers in a conversation: a run's model, tuned and untouched, piece by piece. Called by child and server."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lab.errors import DataError
from lab.profile.sampling import Sampling

TUNED, BASE = "tuned", "base"
Messages = Sequence[dict[str, str]]


@dataclass(frozen=True)
class Reply:
    """How an answer ended.

    Attributes:
        finish: "stop" for one that ended itself, "length" for one that was cut, "cancelled".
        first_token_seconds: from the question to the first token.
    """

    prompt_tokens: int
    tokens: int
    seconds: float
    first_token_seconds: float | None
    finish: str


class Voice(Protocol):
    """Something that answers."""

    @property
    def model(self) -> str:
        """Its name for people."""
        ...

    @property
    def device(self) -> str:
        """Where it computes, for people."""
        ...

    @property
    def voices(self) -> tuple[str, ...]:
        """Who can be asked: "tuned", "base", or both; the first answers unless told."""
        ...

    def reply(
        self, messages: Messages, sampling: Sampling, who: str, piece: Callable[[str], None], gone: Callable[[], bool]
    ) -> Reply:
        """Answer `messages`; `piece` is told the text as it grows, `gone` whether nobody waits any more.

        Raises:
            DataError: the conversation is none, or too long for the model.
        """
        ...


class Pieces:
    """Turns tokens into text as they come: only whole characters leave, and times are noted on the way.

    Args:
        decode: from all tokens so far to their text.
    """

    def __init__(self, decode: Callable[[list[int]], str], piece: Callable[[str], None], stops: frozenset[int]) -> None:
        self._decode, self._piece, self._stops = decode, piece, stops
        self._tokens: list[int] = []
        self._said = 0
        self._begin = time.monotonic()
        self._first: float | None = None
        self._ended = False

    def take(self, token: int) -> None:
        """Take in the next token; text that may still change (half a character) waits."""
        if self._first is None:
            self._first = time.monotonic() - self._begin
        self._ended = token in self._stops
        if self._ended:
            return
        self._tokens.append(token)
        text = self._decode(self._tokens)
        if not text.endswith("\ufffd"):
            self._say(text)

    def end(self, prompt_tokens: int, *, cancelled: bool) -> Reply:
        """Say what is left, and how it ended."""
        self._say(self._decode(self._tokens) if self._tokens else "")
        finish = "stop" if self._ended else "cancelled" if cancelled else "length"
        seconds = time.monotonic() - self._begin
        return Reply(prompt_tokens, len(self._tokens) + self._ended, seconds, self._first, finish)

    def _say(self, text: str) -> None:
        if len(text) > self._said:
            self._piece(text[self._said :])
            self._said = len(text)


def check_messages(messages: Any) -> list[dict[str, str]]:
    """Return a conversation that a template can be given.

    Raises:
        DataError: it is no list of messages with a role and a text, or the user does not have the last word.
    """
    remedy = 'Send a list like [{"role": "user", "content": "..."}].'
    if not isinstance(messages, list) or not messages:
        raise DataError("There are no messages.", remedy)
    chat = []
    for number, message in enumerate(messages):
        role = message.get("role") if isinstance(message, dict) else None
        content = message.get("content") if isinstance(message, dict) else None
        if role == "developer":  # the newer name of the system message in OpenAI's API
            role = "system"
        if isinstance(content, list):  # OpenAI's parts; only text can be read
            texts = [part.get("text", "") for part in content if isinstance(part, dict)]
            content = "".join(texts) if all(isinstance(text, str) for text in texts) else None
        if role not in ("system", "user", "assistant") or not isinstance(content, str):
            raise DataError(f"Message {number} has no role (system, user, assistant) or no text.", remedy)
        chat.append({"role": role, "content": content})
    if chat[-1]["role"] != "user":
        raise DataError("The last message is not the user's.", remedy)
    return chat


def check_length(tokens: int, sampling: Sampling, longest: int | None) -> Sampling:
    """Return `sampling` with an answer that fits behind the prompt.

    Args:
        longest: tokens that the model can hold; None where that is not known.

    Raises:
        DataError: the prompt alone does not fit.
    """
    if longest is None:
        return sampling
    if tokens >= longest:
        raise DataError(
            f"The conversation has {tokens:,} tokens, but the model holds {longest:,}.", "Begin a new one, or cut it."
        )
    return sampling.model_copy(update={"max_new_tokens": min(sampling.max_new_tokens, longest - tokens)})

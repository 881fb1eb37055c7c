"""OpenAI's chat completions as data: reading a request, shaping an answer, stop words. Called by `server`.

Source: the API reference of OpenAI's chat completions; what this server cannot do is refused, never ignored.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lab.chatting.voice import Reply, check_messages
from lab.errors import DataError, NotFoundError
from lab.profile.presets import check_sampling
from lab.profile.sampling import Sampling
from lab.text import did_you_mean, sanitize

KEYS = {
    "max_tokens": "max_new_tokens",
    "max_completion_tokens": "max_new_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "seed": "seed",
    "repetition_penalty": "repetition_penalty",
}
"""OpenAI's names, and the lab's; the last is an extension."""
UNABLE: dict[str, tuple[Any, ...]] = {  # key -> the values that ask for nothing special
    "n": (None, 1),
    "tools": (None, []),
    "functions": (None, []),
    "logprobs": (None, False),
    "response_format": (None, {"type": "text"}),
    "frequency_penalty": (None, 0),
    "presence_penalty": (None, 0),
    "logit_bias": (None, {}),
}
FINISH = {"stop": "stop", "length": "length", "cancelled": "stop"}


@dataclass(frozen=True)
class Asked:
    """One request."""

    model: str
    who: str
    messages: list[dict[str, str]]
    sampling: Sampling
    stream: bool
    include_usage: bool
    stops: tuple[str, ...]
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(12)}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, text: str, reply: Reply) -> dict[str, Any]:
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": FINISH[reply.finish], "logprobs": None}
        return {**self._about("chat.completion"), "choices": [choice], "usage": _usage(reply)}

    def chunk(self, delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
        reason = None if finish is None else FINISH[finish]
        choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
        return {**self._about("chat.completion.chunk"), "choices": [choice]}

    def usage_chunk(self, reply: Reply) -> dict[str, Any]:
        return {**self._about("chat.completion.chunk"), "choices": [], "usage": _usage(reply)}

    def _about(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


class Speaker:
    """Passes text on up to a stop word; the end of what came so far waits while a stop word could begin in it."""

    def __init__(self, stops: tuple[str, ...], piece: Callable[[str], None]) -> None:
        self._stops, self._piece = stops, piece
        self._waiting = ""
        self._stopped = False

    def take(self, text: str) -> None:
        if self._stopped:
            return
        self._waiting += text
        places = [place for word in self._stops if (place := self._waiting.find(word)) >= 0]
        if places:
            self._stopped = True
            self._pass(min(places))
            self._waiting = ""
        else:
            self._pass(len(self._waiting) - max((_overlap(self._waiting, word) for word in self._stops), default=0))

    def done(self) -> bool:
        """Tell whether a stop word has come."""
        return self._stopped

    def rest(self) -> None:
        self._pass(len(self._waiting))

    def ended(self, reply: Reply) -> Reply:
        return replace(reply, finish="stop") if self._stopped else reply

    def _pass(self, count: int) -> None:
        if count:
            self._piece(self._waiting[:count])
            self._waiting = self._waiting[count:]


def _overlap(text: str, word: str) -> int:
    """Return how many characters at the end of `text` begin `word`."""
    return next((n for n in range(min(len(word) - 1, len(text)), 0, -1) if text.endswith(word[:n])), 0)


def read_request(body: bytes, models: Mapping[str, str]) -> Asked:
    """Return what a request asks for.

    Args:
        models: name -> the voice that answers under it.

    Raises:
        NotFoundError: there is no such model.
        DataError: it is no request, or asks for what this server cannot do.
        UsageError: a value is out of range.
    """
    try:
        record = json.loads(body)
    except (ValueError, RecursionError) as error:  # the latter for brackets in brackets in brackets
        raise DataError("The request is no JSON.", "Send an object as OpenAI's chat completions take it.") from error
    if not isinstance(record, dict):
        raise DataError("The request is no object.", "Send an object as OpenAI's chat completions take it.")
    name = str(record.get("model") or next(iter(models)))
    if name not in models:
        hint = did_you_mean(name, models)
        raise NotFoundError(
            f"There is no model {sanitize(name, newlines=False, limit=80)!r}.{hint}", f"Choose {', '.join(models)}."
        )
    for key, nothing in UNABLE.items():
        if record.get(key) not in nothing:
            raise DataError(f"{key} is not served here.", "Leave it out.")
    values = {KEYS[key]: value for key, value in record.items() if key in KEYS and value is not None}
    options = record.get("stream_options") or {}
    return Asked(
        model=name,
        who=models[name],
        messages=check_messages(record.get("messages")),
        sampling=check_sampling(values, Sampling(temperature=1.0, top_p=1.0, repetition_penalty=1.0)),
        stream=bool(record.get("stream")),
        include_usage=isinstance(options, dict) and bool(options.get("include_usage")),
        stops=_stop_words(record.get("stop")),
    )


def _stop_words(value: Any) -> tuple[str, ...]:
    words = [value] if isinstance(value, str) else value or []
    if not isinstance(words, list) or not all(isinstance(word, str) and word for word in words):
        raise DataError("stop is neither a text nor a list of texts.", "Send at most a few words.")
    return tuple(words)


def _usage(reply: Reply) -> dict[str, int]:
    return {
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.tokens,
        "total_tokens": reply.prompt_tokens + reply.tokens,
    }

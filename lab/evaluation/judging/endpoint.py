"""A judge behind OpenAI's chat completions API, wherever it runs. Called by `pairs` through `JUDGES`.

The key is read from an environment variable, sent to the endpoint's own host alone, and written nowhere.
"""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from lab.errors import LabError, UsageError
from lab.evaluation.judging.prompt import Pair
from lab.text import sanitize

KEY_VARIABLES = ("LAB_JUDGE_KEY", "OPENAI_API_KEY")
AT_ONCE = 4
TIMEOUT = 120.0
TRIES = 5
AGAIN = (408, 409, 429, 500, 502, 503, 504)
"""Answers of a server that may be another in a moment."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Another host must not get the key."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


@dataclass(frozen=True)
class Endpoint:
    """One model at one address.

    Attributes:
        url: up to and without "/chat/completions".
        wait: seconds before the second try; doubled each time.
    """

    url: str
    model: str
    wait: float = 1.0
    sleep: Callable[[float], None] = time.sleep

    @property
    def label(self) -> str:
        return f"{self.model}@{urlsplit(self.url).hostname}"

    def replies(self, pairs: Sequence[Pair]) -> Iterator[tuple[Pair, str]]:
        """Yield each pair with what the judge said of it. Raises LabError where the endpoint cannot be had."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for start in range(0, len(pairs), AT_ONCE):
                some = pairs[start : start + AT_ONCE]
                yield from zip(some, pool.map(self.ask, [pair.text for pair in some]), strict=True)

    def ask(self, text: str) -> str:
        """Return the model's answer to `text`.

        Raises:
            LabError: the endpoint refuses, stays silent, or answers with something else.
        """
        body = {"model": self.model, "temperature": 0, "messages": [{"role": "user", "content": text}]}
        for attempt in range(TRIES):
            try:
                return _content(self._post(json.dumps(body).encode()))
            except urllib.error.HTTPError as error:
                if error.code not in AGAIN or attempt == TRIES - 1:
                    raise self._refused(f"answered {error.code} ({_reason(error)})") from None
            except (OSError, TimeoutError) as error:
                if attempt == TRIES - 1:
                    raise self._refused(f"cannot be reached ({_words(str(error))})") from None
            except (ValueError, KeyError, TypeError, IndexError, AttributeError):
                raise self._refused("did not answer as OpenAI's chat completions do") from None
            self.sleep(self.wait * 2**attempt)
        raise AssertionError("unreachable: the last try raises or returns")

    def _post(self, body: bytes) -> Any:
        headers = {"Content-Type": "application/json"}
        if key := next((os.environ[name] for name in KEY_VARIABLES if os.environ.get(name)), ""):
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(f"{self.url}/chat/completions", body, headers)
        opener = urllib.request.build_opener(_NoRedirect)
        with opener.open(request, timeout=TIMEOUT) as answer:
            return json.loads(answer.read())

    def _refused(self, how: str) -> LabError:
        host = sanitize(self.url, newlines=False, limit=120)
        return LabError(
            f"The judge at {host} {how}.", f"Check the address, the model and {' or '.join(KEY_VARIABLES)}."
        )


def parse_endpoint(text: str) -> Endpoint:
    """Return the endpoint of "URL#MODEL". Raises UsageError where it is none."""
    url, _, model = text.partition("#")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or not model or parts.username:
        raise UsageError(
            f"'{sanitize(text.rpartition('@')[2], newlines=False, limit=80)}' is no endpoint.",
            "Write --judge openai:https://HOST/v1#MODEL; the key comes from LAB_JUDGE_KEY.",
        )
    return Endpoint(url.rstrip("/"), model)


def _content(record: Any) -> str:
    content = record["choices"][0]["message"]["content"]
    if not isinstance(content, str):
        raise TypeError("no text")
    return content


def _reason(error: urllib.error.HTTPError) -> str:
    """Return the server's own words, short; a server may repeat the key that it was sent."""
    text = error.read(2000).decode("utf-8", "replace") if error.fp else ""
    try:
        text = str(json.loads(text)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        text = text or str(error.reason)
    return _words(text)


def _words(text: str) -> str:
    for name in KEY_VARIABLES:
        if key := os.environ.get(name):
            text = text.replace(key, "***")
    return sanitize(text, newlines=False, limit=160).rstrip(".")

"""What goes wrong while a model answers, in the lab's own two sentences, and as OpenAI's API tells it.

Called by `child` and `server`.

Source: the API reference of OpenAI, "Error codes".
"""

from __future__ import annotations

from typing import Any

from lab.errors import LabError, NotFoundError, UsageError
from lab.text import sanitize

LONGEST_MESSAGE = 200
"""Characters that are told of a library's own message."""


def status_of(error: Exception) -> int:
    """Return 404 or 400 for what the one who asked can mend, 500 for what went wrong here."""
    if isinstance(error, NotFoundError):
        return 404
    return 400 if isinstance(error, UsageError) else 500


def error_body(status: int, message: str) -> dict[str, Any]:
    """Return the object that goes with `status`; clients of OpenAI's show its message."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def as_told(error: Exception) -> LabError:
    """Return `error` as two sentences: the lab's own as they are, of others the first line, never a trace."""
    if isinstance(error, LabError):
        return error
    first = next((line for line in str(error).splitlines() if line.strip()), "")
    told = sanitize(first, newlines=False, limit=LONGEST_MESSAGE).strip().rstrip(".")
    what = f"{type(error).__name__}: {told}" if told else type(error).__name__
    return LabError(f"The model failed while answering ({what}).", "Ask for less at once, or see `lab doctor`.")

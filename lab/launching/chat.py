"""A conversation's other end, from the front's side: a child process that speaks JSON lines over pipes.

It answers `ask` and ends with this object. Called by `lab chat` and the console; see `lab.chatting.child` for the
lines themselves.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from lab import jsonio
from lab.errors import LabError, RunStateError
from lab.launching.stop import usable_weights
from lab.profile.sampling import Sampling
from lab.runs.state import LIVE
from lab.runs.store import RunInfo
from lab.text import sanitize

MODULE = "lab.chatting.child"


@dataclass(frozen=True)
class Ready:
    """What answers: `voices` are "tuned" and "base", as far as there are both."""

    model: str
    device: str
    voices: tuple[str, ...]


@dataclass(frozen=True)
class Said:
    """The end of one answer.

    Attributes:
        finish: "stop", "length", or "cancelled".
        first_token_seconds: from the question to the first token; None for an empty answer.
    """

    text: str
    tokens: int
    seconds: float
    first_token_seconds: float | None
    finish: str

    @property
    def tokens_per_second(self) -> float | None:
        return self.tokens / self.seconds if self.seconds and self.tokens else None


class ChatProcess:
    """A model in a process of its own. Use as a context manager; one question at a time."""

    def __init__(self, arguments: Sequence[str], *, command: Sequence[str] = ("-P", "-m", MODULE)) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  closed in `close`
        self._numbers = itertools.count(1)
        self._process = subprocess.Popen(
            [sys.executable, *command, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,  # Ctrl-C in the terminal cancels an answer; it must not end the model
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def wait_ready(self, said: Callable[[str], None] = lambda line: None) -> Ready:
        """Wait until the model is loaded; `said` is told each line of progress.

        Raises:
            LabError: it cannot be loaded.
        """
        while True:
            record = self._read()
            if "ready" in record:
                ready = record["ready"]
                return Ready(str(ready["model"]), str(ready["device"]), tuple(ready["voices"]))
            said(sanitize(str(record.get("progress", "")), newlines=False))

    def ask(
        self, messages: Sequence[dict[str, str]], sampling: Sampling, who: str, piece: Callable[[str], None]
    ) -> Said:
        """Ask and wait; `piece` is told each piece of the answer as it comes, safe for terminals.

        Raises:
            LabError: the model cannot answer this, or its process died.
        """
        number = next(self._numbers)
        self._write({"id": number, "who": who, "messages": list(messages), "sampling": sampling.model_dump()})
        text = ""
        while True:
            record = self._read()
            if record.get("id") != number:  # the rest of an answer that was cancelled
                continue
            if "text" in record:
                part = sanitize(str(record["text"]), limit=1 << 30)
                text += part
                piece(part)
            elif "end" in record:
                end = record["end"]
                return Said(text, end["tokens"], end["seconds"], end["first_token_seconds"], end["finish"])

    def cancel(self) -> None:
        """End the answer under way; `ask` returns with what there is."""
        with contextlib.suppress(LabError):
            self._write({"cancel": True})

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            with contextlib.suppress(OSError):
                assert stream is not None
                stream.close()

    def _write(self, record: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(jsonio.dumps(record).encode() + b"\n")
            self._process.stdin.flush()
        except (OSError, ValueError) as error:
            raise self._death() from error

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise self._death()
        record: dict[str, Any] = json.loads(line)
        if "problem" in record:
            raise LabError(str(record["problem"]), str(record["remedy"]))
        return record

    def _death(self) -> LabError:
        self._process.wait()
        self._log.seek(0)
        lines = sanitize(self._log.read().decode("utf-8", "replace"), limit=300).split("\n")
        reason = next((line.strip() for line in reversed(lines) if line.strip()), "it gave no reason")
        return LabError(f"The model's process ended ({reason.rstrip('.')}).", "See `lab doctor`, then ask again.")


def check_answers(info: RunInfo) -> None:
    """Refuse a run that trained nothing yet, for which its untuned base would answer.

    Raises:
        RunStateError: the run has no adapter.
    """
    if info.record.get("method") == "baseline" or usable_weights(info.run) == info.run.adapter:
        return
    verb = "watch" if info.state in LIVE else "resume"
    raise RunStateError(f"{info.id} ({info.state}) has no adapter yet.", f"Finish it: `lab runs {verb} {info.id}`.")


def chat_arguments(run: Path, *, gguf: Path | None = None, device: str = "auto") -> list[str]:
    """Return the child's arguments for the run in folder `run`, or for one of its GGUF files."""
    return [str(run), "--device", device, *(["--gguf", str(gguf)] if gguf else [])]

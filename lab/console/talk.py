"""A model in a child process, as the Chat page holds it: loaded, asked and ended away from the screen.

A thread owns the child and waits for it; the page reads the attributes here whenever it is told that they changed.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import LabError
from lab.launching.chat import ChatProcess, Ready, chat_arguments, check_answers
from lab.runs.paths import RunPaths
from lab.runs.store import read_run
from lab.text import sanitize

if TYPE_CHECKING:
    from lab.profile.sampling import Sampling
    from lab.runs.chats import Conversation

PAUSE_SECONDS = 0.12
"""Between two redraws while an answer comes."""
CLOSE_SECONDS = 0.5


@dataclass(frozen=True)
class Question:
    """What is asked, of whom, in which conversation."""

    text: str
    conversation: Conversation
    sampling: Sampling
    both: bool


class Talk:
    """The model of the run in `folder`, from the moment that it begins to load.

    Args:
        changed: called in the thread whenever something here has changed.

    Attributes:
        phase: "loading", "ready", "answering", or "ended" where the child is gone.
        line: what it does, or what went wrong.
        ready: what answers; None until it is loaded.
        partial: (who, text) of the answer that comes right now.
    """

    def __init__(self, folder: Path, changed: Callable[[], object]) -> None:
        self.folder = folder
        self.phase, self.line = "loading", "starting"
        self.ready: Ready | None = None
        self.partial: tuple[str, str] | None = None
        self._changed = changed
        self._questions: queue.Queue[Question | None] = queue.Queue()
        self._process: ChatProcess | None = None
        self._stopped, self._cancelled = False, False
        self._shown = 0.0
        self._thread = threading.Thread(target=self._run, name="chat", daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        return self.phase == "answering" or not self._questions.empty()

    def ask(self, question: Question) -> None:
        """Ask as soon as the model is loaded and free."""
        self._questions.put(question)

    def cancel(self) -> None:
        """End the answer under way; nobody else answers that question either."""
        self._cancelled = True
        if self._process is not None and self.phase == "answering":
            self._process.cancel()

    def stop(self) -> None:
        """End the child. Does not wait for a machine that is slow to let go of it."""
        self._stopped, self.phase = True, "ended"
        self._questions.put(None)
        process = self._process
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # it leads a session of its own
        self._thread.join(CLOSE_SECONDS)  # which closes the pipes that it reads

    # in the thread

    def _run(self) -> None:
        try:
            self._serve()
        except (LabError, OSError) as error:
            self._end(str(error))
        finally:
            self._process = None

    def _serve(self) -> None:
        info = read_run(RunPaths(self.folder))
        if info is not None:
            check_answers(info)
        with ChatProcess(chat_arguments(self.folder)) as process:
            self._process = process
            if self._stopped:
                return
            self.ready = process.wait_ready(self._progress)
            self._be("ready", "")
            while (question := self._questions.get()) is not None:
                self._cancelled = False
                self._be("answering", "")
                self._answer(process, question, self.ready)
                self._be("ready", self.line)

    def _answer(self, process: ChatProcess, question: Question, ready: Ready) -> None:
        """Ask everybody; an answer that fails is told, and the conversation goes on while its process lives."""
        conversation = question.conversation
        conversation.add("user", question.text)
        for who in ready.voices if question.both else ready.voices[:1]:
            if self._cancelled:
                return
            self.partial = (who, "")
            self._changed()
            try:
                said = process.ask(conversation.messages(who), question.sampling, who, self._piece)
            except LabError as error:
                if "process ended" in error.problem:
                    raise
                self.line = sanitize(str(error), newlines=False)
                continue
            finally:
                self.partial = None
            facts = {"tokens": said.tokens, "seconds": said.seconds, "finish": said.finish}
            conversation.add(who, said.text, **facts, first_token_seconds=said.first_token_seconds)

    def _piece(self, text: str) -> None:
        who, before = self.partial or ("", "")
        self.partial = (who, before + text)
        if time.monotonic() - self._shown >= PAUSE_SECONDS:
            self._shown = time.monotonic()
            self._changed()

    def _progress(self, line: str) -> None:
        self._be("loading", line)

    def _end(self, line: str) -> None:
        if not self._stopped:
            self._be("ended", sanitize(line, newlines=False))

    def _be(self, phase: str, line: str) -> None:
        if not self._stopped:
            self.phase, self.line = phase, line
            self._changed()

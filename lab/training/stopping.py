"""The wish to stop, as the worker hears it: `stop.json` (finish the step, save) or SIGTERM (end now)."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from lab.launching.stop import read_wish
from lab.runs.paths import RunPaths

POLL_SECONDS = 0.5


class Terminated(BaseException):
    """SIGTERM arrived, or a wish in the midst of loading.

    Not an Exception, so that no library's `except Exception` swallows it.
    """


class StopWish:
    """Polled after every step and every batch of answers.

    Attributes:
        reason: who asked; empty while nobody did.
        save: whether to save before the end.
    """

    def __init__(self, run: RunPaths) -> None:
        self._run = run
        self.reason = ""
        self.save = True
        self._loading = False

    def listen(self) -> None:
        """Take SIGTERM from now on, and SIGUSR1, by which `at_once` reaches the main thread."""
        signal.signal(signal.SIGTERM, self._terminate)
        signal.signal(signal.SIGUSR1, self._interrupt)

    def asked(self) -> bool:
        """Tell whether somebody asked for an end."""
        if not self.reason and (wish := read_wish(self._run)) is not None:
            self.reason = f"stopped by {wish.who or 'somebody'}"
            self.save = wish.mode == "save"
        return bool(self.reason)

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Let a wish interrupt what happens inside, as SIGTERM would: loading asks nobody, and has nothing to save."""
        done = threading.Event()

        def watch() -> None:
            while not done.wait(POLL_SECONDS):
                if self.asked():
                    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
                    return

        self._loading = True
        watcher = threading.Thread(target=watch, name="stop-wish", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            self._loading = False
            done.set()
            watcher.join()

    def ignore(self) -> None:
        """Take no more signals: the end is being written."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        self.reason = "terminated (SIGTERM)"
        raise Terminated

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._loading:
            raise Terminated

"""The wish to stop, as the worker hears it: `stop.json` (finish the step, save) or SIGTERM (end now)."""

from __future__ import annotations

import signal
from types import FrameType

from lab.launching.stop import read_wish
from lab.runs.paths import RunPaths


class Terminated(BaseException):
    """SIGTERM arrived: not an Exception, so that no library's `except Exception` swallows it."""


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

    def listen(self) -> None:
        """Take SIGTERM from now on."""
        signal.signal(signal.SIGTERM, self._terminate)

    def asked(self) -> bool:
        """Tell whether somebody asked for an end."""
        if not self.reason and (wish := read_wish(self._run)) is not None:
            self.reason = f"stopped by {wish.who or 'somebody'}"
            self.save = wish.mode == "save"
        return bool(self.reason)

    def ignore(self) -> None:
        """Take no more signals: the end is being written."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        self.reason = "terminated (SIGTERM)"
        raise Terminated

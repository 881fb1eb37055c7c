"""A program in a pseudo-terminal: what it writes and how long it takes to answer. Called by `lab bench console`."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

ASKED = b"\x1b[?2026$p"
ANSWER = b"\x1b[?2026;1$y"
"""The question whether updates may be bracketed, and a modern terminal's yes."""


@dataclass
class Screen:
    """The terminal's end of the line.

    Attributes:
        output: every byte written so far.
    """

    master: int
    process: subprocess.Popen[bytes]
    output: bytearray = field(default_factory=bytearray)

    def pump(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Take in what is written for at most `seconds`; tell whether `until` came true."""
        deadline = time.perf_counter() + seconds
        while (left := deadline - time.perf_counter()) > 0:
            if select.select([self.master], [], [], min(left, 0.02))[0]:
                try:
                    data = os.read(self.master, 1 << 16)
                except OSError:  # the other end is closed: it has left
                    return until()
                self.output += data
                if ASKED in data:
                    os.write(self.master, ANSWER)
            if until():
                return True
        return until()

    def press(self, key: str, seconds: float = 5.0) -> float:
        """Return the seconds from pressing `key` to the first byte written after it; `seconds` where none came."""
        mark, begin = len(self.output), time.perf_counter()
        os.write(self.master, key.encode())
        self.pump(seconds, lambda: len(self.output) > mark)
        return time.perf_counter() - begin

    def wait_for(self, *texts: str, after: int = 0, seconds: float = 30.0) -> float | None:
        """Return the seconds until one of `texts` stands in the output after byte `after`; None if none came."""
        begin, wanted = time.perf_counter(), [text.encode() for text in texts]
        seen = self.pump(seconds, lambda: any(text in self.output[after:] for text in wanted))
        return time.perf_counter() - begin if seen else None


@contextlib.contextmanager
def opened(command: Sequence[str], environment: Mapping[str, str], columns: int, lines: int) -> Iterator[Screen]:
    """Run `command` in a terminal of that size; it is killed at the end if it is still there."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    env = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **environment}
    env.pop("NO_COLOR", None)
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True)
    os.close(slave)
    try:
        yield Screen(master, process)
    finally:
        process.kill()
        process.wait()
        os.close(master)

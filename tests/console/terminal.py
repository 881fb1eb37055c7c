"""The console in a real (pseudo-)terminal: what it writes, byte for byte."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from lab.bench.ptyscreen import Screen, opened

CODE = "import sys; from pathlib import Path; from lab.console.app import run; run(Path(sys.argv[1]))"
LONGEST = 60.0
QUIET = 0.4
SIZE = (100, 30)


def in_terminal(home: Path, *, keys: str) -> bytes:
    """Open the console over `home`, press each key once the screen is at rest, leave with `q`; return all output."""
    with opened([sys.executable, "-c", CODE, str(home)], {}, *SIZE) as screen:
        _drive(screen, keys)
        os.write(screen.master, b"q")
        screen.pump(LONGEST, lambda: screen.process.poll() is not None)
        screen.process.wait(LONGEST)  # it has closed the terminal, and may take a moment more
        screen.pump(QUIET)
        return bytes(screen.output)


def killed_in_terminal(home: Path, *, keys: str) -> None:
    """Open the console, press each key, and kill it without a warning."""
    with opened([sys.executable, "-c", CODE, str(home)], {}, *SIZE) as screen:
        _drive(screen, keys)


def _drive(screen: Screen, keys: str) -> None:
    assert screen.wait_for("Runs", seconds=LONGEST) is not None, "the console did not open"
    for key in keys:
        _rest(screen)
        os.write(screen.master, key.encode())
    _rest(screen)


def _rest(screen: Screen) -> None:
    """Wait until nothing was written for a moment."""
    deadline = time.monotonic() + LONGEST
    mark = -1
    while mark != len(screen.output) and time.monotonic() < deadline:
        mark = len(screen.output)
        screen.pump(QUIET, lambda mark=mark: len(screen.output) > mark)  # type: ignore[misc]

"""The console in a real (pseudo-)terminal: what it writes, byte for byte."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

CODE = "import sys; from pathlib import Path; from lab.console.app import run; run(Path(sys.argv[1]))"
LONGEST = 60.0
QUIET = 0.4


def in_terminal(home: Path, *, keys: str) -> bytes:
    """Open the console over `home`, press each key once the screen is at rest, leave with `q`; return all output."""
    master, process = _open(home)
    try:
        return _drive(master, process, [*keys.encode(), ord("q")])
    finally:
        _end(master, process)


def killed_in_terminal(home: Path, *, keys: str) -> None:
    """Open the console, press each key, and kill it without a warning."""
    master, process = _open(home)
    try:
        _drive(master, process, [*keys.encode()])
    finally:
        _end(master, process)


def _open(home: Path, size: tuple[int, int] = (100, 30)) -> tuple[int, subprocess.Popen[bytes]]:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    env = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    command = [sys.executable, "-c", CODE, str(home)]
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=env)
    os.close(slave)
    return master, process


def _end(master: int, process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    os.close(master)


def _drive(master: int, process: subprocess.Popen[bytes], keys: list[int]) -> bytes:
    output, last = b"", 0
    deadline = time.monotonic() + LONGEST
    while time.monotonic() < deadline:
        if select.select([master], [], [], QUIET)[0]:
            try:
                output += os.read(master, 1 << 16)
            except OSError:  # the other end is closed: it has left
                return output
        elif keys and b"Runs" in output:
            last = keys.pop(0)
            os.write(master, bytes([last]))
        elif not keys and last != ord("q"):
            return output
    raise AssertionError(f"the console did not leave; it wrote {output[-500:]!r}")

"""Heavy work in a process of its own that answers in JSON lines: the front stays light, and a crash stays a message.

The front calls `json_lines`; the module that it starts calls `serve`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any

from lab import jsonio
from lab.errors import LabError
from lab.text import sanitize

Emit = Callable[[dict[str, Any]], None]


def json_lines(module: str, arguments: Sequence[str] = (), *, timeout: float) -> Iterator[dict[str, Any]]:
    """Run `python -m module` and yield the objects that it prints, as they come; it ends with this generator.

    Args:
        timeout: seconds after which it is killed.

    Raises:
        LabError: what the child raised, or how it died: the signal, and the last line it wrote to stderr.
    """
    with tempfile.TemporaryFile() as log:
        # -P keeps the working folder off the module path, as for workers
        command = [sys.executable, "-P", "-m", module, *arguments]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        late = threading.Event()
        alarm = threading.Timer(timeout, _end_late, (process, late))
        alarm.start()
        try:
            assert process.stdout is not None
            with process.stdout as lines:
                yield from _records(lines)
            status = process.wait()
        finally:
            alarm.cancel()
            process.kill()
            process.wait()
        if status != 0:
            raise _death(module, status, f"no answer within {timeout:.0f} s" if late.is_set() else _last_line(log))


def _end_late(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    process.kill()


def _records(lines: IO[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        if not line.endswith(b"\n"):  # cut by the child's death, which is told by its status
            return
        record: dict[str, Any] = json.loads(line)
        if "problem" in record:
            raise LabError(record["problem"], record["remedy"])
        yield record


def _last_line(log: IO[bytes]) -> str:
    log.seek(0)
    lines = sanitize(log.read().decode("utf-8", "replace"), limit=300).split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it gave no reason")


def _death(module: str, status: int, reason: str) -> LabError:
    cause = f"was killed by {_signal_name(-status)}" if status < 0 else f"ended with status {status}"
    return LabError(f"{module} {cause}: {reason.rstrip('.')}.", "See `lab doctor` for what works here.")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def serve(work: Callable[[Emit], None]) -> int:
    """Do `work` in the child, giving it a function that prints an object as a line; return the exit status.

    Whatever libraries print goes to stderr. An error of the lab's own travels to the caller as it is.
    """
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)

        def emit(record: dict[str, Any]) -> None:
            answers.write(jsonio.dumps(record) + "\n")
            answers.flush()

        try:
            work(emit)
        except LabError as error:
            emit({"problem": error.problem, "remedy": error.remedy})
    return 0

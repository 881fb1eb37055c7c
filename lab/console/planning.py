"""`lab plan` in a process of its own, for the Profiles page: it reads the data, and times the model where asked."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence

from lab.text import sanitize

COMMAND = (sys.executable, "-P", "-m", "lab", "plan")


class Planning:
    """One dry run of profile `name`, as text of `columns` columns.

    Args:
        time: load the model and time it too.
        said: is told each line of progress. Called in another thread.
        ended: is given the plan, or what went wrong. Called in another thread, unless `stop` came first.
    """

    def __init__(
        self,
        name: str,
        columns: int,
        *,
        time: bool,
        said: Callable[[str], None],
        ended: Callable[[str], None],
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._said, self._ended = said, ended
        self._stopped = False
        self._process = subprocess.Popen(
            [*command, name, *(["--time"] if time else [])],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "COLUMNS": str(columns)},
            text=True,
            errors="replace",
        )
        self._notes: list[str] = []
        threading.Thread(target=self._listen, name="plan", daemon=True).start()

    def _listen(self) -> None:
        reader = threading.Thread(target=self._progress, name="plan progress", daemon=True)
        reader.start()
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            text = sanitize(lines.read())
        self._process.wait()
        reader.join()
        if not self._stopped:
            failed = "\n".join(self._notes) if self._process.returncode else ""
            self._ended("\n\n".join(part for part in (text.rstrip(), failed) if part))

    def _progress(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                clean = sanitize(line.rstrip("\n"))
                self._notes.append(clean)
                if clean.strip() and not self._stopped:
                    self._said(clean)

    def stop(self) -> None:
        """End the process, if it still runs."""
        self._stopped = True
        if self._process.poll() is None:
            self._process.terminate()

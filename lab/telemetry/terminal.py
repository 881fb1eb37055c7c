"""What the terminal can show: size, characters, colours. A check of `lab doctor`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from lab.telemetry.check import Check

SMALLEST = (60, 20)
NO_TERMINAL = "none: output goes to a file or a pipe"


def terminal() -> Check:
    if not sys.stdout.isatty():
        return Check("terminal", "ok", NO_TERMINAL)
    columns, lines = os.get_terminal_size(sys.stdout.fileno())
    return judge(os.environ, (columns, lines), sys.stdout.encoding or "")


def judge(environment: Mapping[str, str], size: tuple[int, int], encoding: str) -> Check:
    """Judge a terminal of `size` (columns, lines) whose output is encoded as `encoding`."""
    unicode = encoding.lower().replace("-", "") == "utf8"
    parts = [f"{size[0]} x {size[1]}", "UTF-8" if unicode else encoding or "unknown encoding", colours(environment)]
    found = ", ".join([*parts, *_wrappers(environment)])
    if not unicode:
        return Check("terminal", "warn", found, "Set LANG to a UTF-8 locale such as C.UTF-8, or use `lab --ascii`.")
    if environment.get("TERM", "dumb") == "dumb":
        return Check("terminal", "warn", found, "Set TERM to what the terminal is, for example xterm-256color.")
    if size[0] < SMALLEST[0] or size[1] < SMALLEST[1]:
        remedy = f"Make it {SMALLEST[0]} x {SMALLEST[1]} or more to see plots; below that there are numbers alone."
        return Check("terminal", "warn", found, remedy)
    return Check("terminal", "ok", found)


def colours(environment: Mapping[str, str]) -> str:
    """Tell how many colours a terminal says it has, and whether the user wants any."""
    if environment.get("NO_COLOR"):
        return "no colours (NO_COLOR)"
    name = environment.get("TERM", "dumb")
    if name == "dumb":
        return "no colours (TERM=dumb)"
    if environment.get("COLORTERM") in ("truecolor", "24bit"):
        return "16 million colours"
    return "256 colours" if "256color" in name else "16 colours"


def _wrappers(environment: Mapping[str, str]) -> list[str]:
    """Name what stands between this process and the screen."""
    marks = {"tmux": "TMUX", "screen": "STY", "SSH": "SSH_CONNECTION"}
    return [name for name, variable in marks.items() if environment.get(variable)]

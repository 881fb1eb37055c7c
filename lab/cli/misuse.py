"""Where a command that does not exist is to be found. Called by `app` for its error message.

The verbs of a group are often tried without it (`lab watch`), and some have other names in other tools.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

OTHER_NAMES = {
    "ls": ["runs list"],
    "ps": ["runs list"],
    "status": ["runs list"],
    "log": ["runs logs"],
    "tail": ["runs watch"],
    "follow": ["runs watch"],
    "kill": ["runs stop"],
    "cancel": ["runs stop"],
    "continue": ["runs resume"],
    "delete": ["runs rm"],
    "remove": ["runs rm"],
    "run": ["train", "study run"],
    "start": ["train", "study run"],
    "finetune": ["train"],
    "fine-tune": ["train"],
    "evaluate": ["eval"],
    "generate": ["chat"],
    "download": ["fetch"],
    "push": ["export hub"],
    "upload": ["export hub"],
    "ui": [""],
    "console": [""],
    "tui": [""],
}
"""What other tools call a verb -> the lab's own; "" is `lab` alone."""
_UNKNOWN = re.compile(r"No such command '(?P<name>.*?)'\.?(?P<guess>.*)", re.DOTALL)


def unknown_command(problem: str, root: Any) -> tuple[str, str] | None:
    """Return problem and remedy where `problem` is that of an unknown command which can be found, else None.

    Args:
        root: the whole tree of commands, as Typer builds it.
    """
    match = _UNKNOWN.match(problem)
    if match is None:
        return None
    name, paths = match["name"], _paths(root)
    found = OTHER_NAMES.get(name) or [path for path in paths if path.rpartition(" ")[2] == name]
    if found:
        return f"No such command '{name}'.", f"It is {_lines(found)}."
    close = get_close_matches(name, [path.rpartition(" ")[2] for path in paths], n=1, cutoff=0.75)
    if close and not match["guess"]:
        meant = [path for path in paths if path.rpartition(" ")[2] == close[0]]
        return f"No such command '{name}'.", f"Did you mean {_lines(meant)}?"
    return None


def _paths(group: Any, before: str = "") -> list[str]:
    """Return every command below `group` with the groups that lead to it: `runs watch`."""
    found = []
    for name, command in group.commands.items():
        found.append(before + name)
        if hasattr(command, "commands"):
            found += _paths(command, f"{before}{name} ")
    return found


def _lines(paths: Sequence[str]) -> str:
    *most, last = (f"`{' '.join(['lab', *path.split()])}`" for path in paths)
    return f"{', '.join(most)} or {last}" if most else last

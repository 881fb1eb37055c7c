"""What pages need that are not shown yet, loaded in a thread once the first screen stands: no key waits for it then."""

from __future__ import annotations

import gc
import importlib

from lab.console.keys import PAGES
from lab.console.turns import give_way

MODULES = (
    "lab.console.live",
    *(f"lab.console.screens.{name}" for name in PAGES),
    "lab.console.screens.help",
    "lab.console.plot",
    "psutil",
    "lab.console.comparing",
    "lab.compare.table",
    "lab.compare.samples",
    "lab.console.profilelist",
    "lab.console.system",
)
BREATH_SECONDS = 0.02


def load_ahead() -> None:
    """Load the modules, the likeliest first, with a breath between two for keys and redraws."""
    for name in MODULES:
        importlib.import_module(name)
        give_way(BREATH_SECONDS)
    gc.freeze()  # modules stay for good: the collector need not walk them each time, while a key waits

"""One decision of a recipe. Made by `training.recipe` and `modeling.fast.choose`, written into the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Choice:
    """Its value and the reason, in a line for people."""

    value: Any
    why: str

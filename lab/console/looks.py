"""How states and numbers look: the same on every page."""

from __future__ import annotations

from dataclasses import dataclass

from lab.console.rows import RunRow
from lab.console.widgets.bars import progress
from lab.console.widgets.parts import Part

_STATES: dict[str, tuple[str, str, str]] = {
    "queued": ("◌", "q", "$secondary"),
    "starting": ("◔", "s", "$primary"),
    "training": ("●", "*", "bold $primary"),
    "evaluating": ("◑", "e", "$primary"),
    "completed": ("✓", "+", "$success"),
    "stopped": ("■", "#", "$secondary"),
    "failed": ("✗", "!", "$error"),
    "lost": ("?", "?", "$warning"),
}


@dataclass(frozen=True)
class Looks:
    """What the terminal can show."""

    plain: bool = False

    @property
    def mark(self) -> str:
        return "+" if self.plain else "◆"

    @property
    def rule(self) -> str:
        return "-" if self.plain else "─"

    def state(self, state: str) -> tuple[Part, Part]:
        """Return the sign and the word of a state."""
        sign, plain, style = _STATES.get(state, ("·", ".", ""))
        return (plain if self.plain else sign, style), (state, style)

    def progress(self, row: RunRow, width: int) -> list[Part]:
        """Return a bar with the percentage behind it; steps alone where the end is not known."""
        if row.share is None:
            return [(f"{row.step}" if row.step else "-", "$quiet")]
        style = _STATES.get(row.state, ("", "", "$primary"))[2].removeprefix("bold ")
        return [*progress(row.share, width - 5, plain=self.plain, style=style), (f"{row.share:5.0%}", "")]

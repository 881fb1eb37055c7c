"""One-line widgets made of (text, style) parts: they repaint only when the parts differ, and never read markup."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.widget import Widget

from lab.text import clip, display_width

Part = tuple[str, str]
"""A text and its style: a role such as `$quiet`, `bold $primary`, or empty."""


def width_of(parts: Sequence[Part]) -> int:
    return sum(display_width(text) for text, _ in parts)


def fit(left: Sequence[Part], right: Sequence[Part], width: int, fill: str = " ") -> list[Part]:
    """Return one line of exactly `width` columns: `right` at its end where both fit, `left` clipped if need be."""
    right = right if 0 < width_of(right) <= width - width_of(left) - 2 else ()
    room = width - width_of(right) - (1 if right else 0)
    kept: list[Part] = []
    for text, style in left:
        text = clip(text, room)
        kept.append((text, style))
        room -= display_width(text)
    gap = room + (1 if right else 0)
    if fill != " " and gap > 4:
        end: list[Part] = [(" ", ""), *right] if right else []
        return [*kept, ("  ", ""), (fill * (gap - 2 - bool(right)), "$rule"), *end]
    return [*kept, (" " * max(gap, 0), ""), *right]


class Line(Widget):
    """One line with a left and a right end.

    Args:
        fill: stands between the two; a rule makes the line a heading.
    """

    DEFAULT_CSS = "Line { height: 1; width: 1fr; }"

    def __init__(self, widget_id: str, *, classes: str | None = None, fill: str = " ") -> None:
        super().__init__(id=widget_id, classes=classes)
        self._left: tuple[Part, ...] = ()
        self._rights: tuple[tuple[Part, ...], ...] = ()
        self._fill = fill

    def put(self, left: Sequence[Part], *rights: Sequence[Part]) -> None:
        """Show the parts, and the first of `rights` that has room; nothing is painted if they are shown already."""
        now = (tuple(left), tuple(tuple(right) for right in rights))
        if now != (self._left, self._rights):
            self._left, self._rights = now
            self.refresh()

    def render(self) -> Content:
        width = self.size.width
        room = width - width_of(self._left) - 2
        right = next((right for right in self._rights if width_of(right) <= room), ())
        return Content.assemble(*fit(self._left, right, width, self._fill if self._left else " "))


class Facts(Widget):
    """Labelled numbers, laid into as many lines as the widget has; those that find no room are left out."""

    DEFAULT_CSS = "Facts { height: 1; width: 1fr; }"

    def __init__(self, widget_id: str) -> None:
        super().__init__(id=widget_id)
        self._facts: tuple[Fact, ...] = ()

    def put(self, facts: Sequence[Fact]) -> None:
        """Show the facts, the weightiest first; nothing is painted if they are shown already."""
        if tuple(facts) != self._facts:
            self._facts = tuple(facts)
            self.refresh()

    def render(self) -> Content:
        lines = lay(self._facts, self.size.width, self.size.height)
        return Content("\n").join([Content.assemble(*line) for line in lines])


Fact = tuple[str, str, str]
"""Label, value and the value's style."""


def lay(facts: Sequence[Fact], width: int, height: int) -> list[list[Part]]:
    """Return the facts in lines of at most `width` columns: side by side as long as there is room, then below.

    With fewer facts than lines each gets its own line, labels and values aligned.
    """
    if len(facts) <= height:
        label_width = max((display_width(label) for label, _, _ in facts), default=0)
        room = width - label_width - 2
        return [[(f"{label:<{label_width}}  ", "$quiet"), (clip(v, room), s)] for label, v, s in facts]
    lines: list[list[Part]] = [[]]
    for label, value, style in facts:
        fact: list[Part] = [(f"{label} ", "$quiet"), (value, style)]
        gap: list[Part] = [("   ", "")] if lines[-1] else []
        if width_of([*lines[-1], *gap, *fact]) <= width:
            lines[-1] += gap + fact
        elif len(lines) < height:
            lines.append([*fact])
    return lines

"""A text of styled lines in a box, moved through by keys and wheel; only what is in sight is drawn."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.widget import Widget

from lab.console.widgets.parts import Part, width_of
from lab.text import clip, display_width

StyledLine = Sequence[Part]


class Lines(Widget):
    """Shows lines from the top; with `follow` from the bottom, where it stays as lines are added."""

    DEFAULT_CSS = "Lines { height: 1fr; width: 1fr; }"

    class Moved(Message):
        """Other lines are in sight."""

    def __init__(self, widget_id: str, *, follow: bool = False) -> None:
        super().__init__(id=widget_id)
        self._lines: tuple[tuple[Part, ...], ...] = ()
        self._follow = follow
        self._place = 0

    def put(self, lines: Sequence[StyledLine], *, to_top: bool = False) -> None:
        """Show `lines`; nothing is painted if they are shown already."""
        now = tuple(tuple(line) for line in lines)
        place = 0 if to_top else self._place
        if (now, place) != (self._lines, self._place):
            grown = len(now) != len(self._lines) and self.styles.is_auto_height
            self._lines, self._place = now, min(place, max(len(now) - 1, 0))
            self.refresh(layout=grown)
            self.post_message(self.Moved())

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._lines)

    @property
    def hidden(self) -> int:
        """How many lines have no room."""
        return max(len(self._lines) - self.size.height, 0)

    @property
    def place(self) -> int:
        """How many lines are out of sight above; with `follow` below."""
        return min(self._place, self.hidden)

    @property
    def span(self) -> str:
        """Which lines are in sight, as `lines 1-12 of 40`; empty where all are."""
        if not self.hidden or self.size.height < 1:
            return ""
        first = self.hidden - self.place if self._follow else self.place
        return f"lines {first + 1}-{first + self.size.height} of {len(self._lines)}"

    def move(self, by: int) -> None:
        """Move down by so many lines, or up."""
        self.move_to(self._place + (-by if self._follow else by))

    def page(self, by: int) -> None:
        self.move(by * max(self.size.height - 2, 1))

    def move_to(self, place: int) -> None:
        place = min(max(place, 0), self.hidden)
        if place != self._place:
            self._place = place
            self.refresh()
            self.post_message(self.Moved())

    def to_end(self, *, last: bool) -> None:
        """Show the first lines or the last ones."""
        self.move_to(self.hidden if last != self._follow else 0)

    def on_resize(self) -> None:
        self.post_message(self.Moved())

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.move(2)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.move(-2)

    def render(self) -> Content:
        width, height = self.size
        place = self.place
        end = len(self._lines) - place if self._follow else place + height
        shown = [clipped(line, width) for line in self._lines[max(end - height, 0) : end]]
        return Content("\n").join([Content.assemble(*line) for line in shown])


def clipped(line: StyledLine, width: int) -> list[Part]:
    """Return the line cut to `width` columns."""
    if width_of(line) <= width:
        return list(line)
    kept: list[Part] = []
    for text, style in line:
        text = clip(text, width)
        width -= display_width(text)
        kept.append((text, style))
    return kept

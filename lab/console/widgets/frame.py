"""The two lines that every page has: the tabs above and the keys below. Both answer to the mouse."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

from textual import events
from textual.content import Content
from textual.widget import Widget

from lab.console.keys import PAGES, keys_of
from lab.console.widgets.parts import Part, width_of
from lab.text import display_width

BRAND: Part = ("LoRA Lab", "bold")
NO_NOTICE: Part = ("", "")
Link = tuple[str, str, str]
"""A text, its style, and the action that a click on it calls; empty for none."""


class Links(Widget):
    """A line of texts that can be clicked."""

    DEFAULT_CSS = "Links { height: 1; width: 1fr; }"

    def links(self) -> list[Link]:
        """The line, in the widget's present width."""
        return []

    def render(self) -> Content:
        return Content.assemble(*((text, style) for text, style, _ in self.links()))

    async def on_click(self, event: events.Click) -> None:
        action = action_at(self.links(), event.x)
        if action:
            await self.run_action(action)


def action_at(links: list[Link], x: int) -> str:
    """Return the action of the text at column `x`; empty where there is none."""
    for text, _, action in links:
        x -= display_width(text)
        if x < 0:
            return action
    return ""


class Tabs(Links):
    """The name of the lab and its pages; the one that is shown stands out."""

    def __init__(self, page: str) -> None:
        super().__init__(id="tabs")
        self._page = page
        self._brand: Part = BRAND
        self._right: tuple[Part, ...] = ()
        self._notice: Part = NO_NOTICE

    def put(self, brand: Part, right: tuple[Part, ...], notice: Part = NO_NOTICE) -> None:
        """Show `brand` at the beginning and `right` at the end where they have room, and `notice` in any case."""
        if (brand, right, notice) != (self._brand, self._right, self._notice):
            self._brand, self._right, self._notice = brand, right, notice
            self.refresh()

    def links(self) -> list[Link]:
        return tab_links(self._page, self._brand, self._right, self.size.width, self._notice)


def tab_links(page: str, brand: Part, right: tuple[Part, ...], width: int, notice: Part = NO_NOTICE) -> list[Link]:
    """Return the tabs' line: the right end gives way first, then the brand, then the names of the pages.

    `notice` stands before the right end and never gives way: what it says holds for every key.
    """
    end: list[Link] = [("  ", "", ""), (*notice, "")] if notice[0] else []
    width -= length(end)
    tabs = _tabs(page, short=False)
    if length(tabs) > width:
        tabs = _tabs(page, short=True)
    first: list[Link] = [(*brand, ""), ("   ", "", "")]
    if width >= length(first) + length(tabs):
        tabs = first + tabs
    gap = width - length(tabs) - width_of(right) - (2 if end and right else 0)
    if gap < 0:
        return [*tabs, (" " * (width - length(tabs)), "", ""), *end] if end else tabs
    end += [("  ", "", "")] if end and right else []
    return [*tabs, (" " * gap, "", ""), *end, *((text, style, "") for text, style in right)]


def _tabs(page: str, *, short: bool) -> list[Link]:
    """Return the pages' names; only the one that is shown has more than a number where it is to be `short`."""
    tabs: list[Link] = []
    for number, name in enumerate(PAGES, 1):
        here = name == page
        text = str(number) if short and not here else f"{number} {name.title()}"
        tabs += [("  ", "", "")] if tabs else []
        tabs.append((text, "bold $primary" if here else "$quiet", f"app.page('{name}')"))
    return tabs


def length(links: list[Link]) -> int:
    return sum(display_width(text) for text, _, _ in links)


class KeyLine(Links):
    """The page's keys, as many as fit, ending on those that always matter."""

    def __init__(self, page: str, *, readonly: bool) -> None:
        super().__init__(id="keyline")
        self._page, self._readonly = page, readonly
        self._idle: frozenset[str] = frozenset()
        self._typing: tuple[tuple[str, str], ...] = ()

    def put(self, idle: Iterable[str], typing: Sequence[tuple[str, str]] = ()) -> None:
        """Leave out the keys of the actions that have nothing to do now.

        Args:
            typing: the keys of the line that is being typed into, which takes all others; empty where none is.
        """
        now = (frozenset(idle), tuple(typing))
        if now != (self._idle, self._typing):
            self._idle, self._typing = now
            self.refresh()

    def links(self) -> list[Link]:
        if self._typing:
            return typing_links(self._typing, self.size.width)
        return key_links(self._page, self.size.width, readonly=self._readonly, idle=self._idle)


def key_links(page: str, width: int, *, readonly: bool, idle: Container[str] = ()) -> list[Link]:
    """Return the footer: the page's own keys that are not idle from the left, help and leave at the end."""
    keys = [key for key in keys_of(page) if key.label and not (readonly and key.writes) and key.name not in idle]
    own = [key for key in keys if page in key.pages]
    always = [key for key in keys if page not in key.pages]
    tail: list[Link] = []
    for key in always:
        part = _links(key.shown.split()[0], key.label, key.action)
        tail += part if length(tail) + length(part) <= width + 2 else []
    line: list[Link] = _links(f"1-{len(PAGES)}", "pages", "") if width >= 100 and page in PAGES else []
    for key in own:
        part = _links(key.shown.split()[0], key.label, key.action)
        if length(line) + length(part) + length(tail) <= width:
            line += part
    return line + tail


def typing_links(keys: Sequence[tuple[str, str]], width: int) -> list[Link]:
    """Return the keys of a line that is typed into, the first ones, as far as they fit."""
    line: list[Link] = []
    for key, label in keys:
        part = _links(key, label, "")
        if length(line) + length(part) <= width + 2:
            line += part
    return line


def _links(key: str, label: str, action: str) -> list[Link]:
    action = action if not action or action.startswith("app.") else f"screen.{action}"
    return [(key, "bold $primary", action), (f" {label}", "$quiet", action), ("  ", "", "")]

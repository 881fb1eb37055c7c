"""`lab` without a verb: the console. It reads run folders, and runs go on whether it is open or not."""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakKeyDictionary

from textual.app import App
from textual.filter import LineFilter
from textual.screen import Screen
from textual.worker import Worker, WorkerState

from lab.console.ahead import load_ahead
from lab.console.feed import Arrived, Feed, Snapshot
from lab.console.keys import EVERYWHERE, PAGES, bindings
from lab.console.looks import Looks
from lab.console.palette import LabCommands
from lab.console.plain import PlainFilter
from lab.console.request import Request, View
from lab.console.screens.page import Page
from lab.console.screens.panel import Panel
from lab.console.themes import DEFAULT, ROLE_DEFAULTS, THEMES, next_theme
from lab.console.turns import screen_busy
from lab.errors import LabError
from lab.runs.state import LIVE
from lab.runs.store import list_runs
from lab.text import plural, sanitize

if TYPE_CHECKING:
    from lab.console.acts import Done

STYLES: list[str | PurePath] = [
    "app.tcss",
    *(f"screens/{name}.tcss" for name in ("panel", "profiles", "runs", "live", "results", "samples", "chat")),
]
"""Style sheets beside the screens. All are read at once: one that comes later has every widget styled anew."""
TICK_SECONDS = 0.5
LOOK_AHEAD_SECONDS = 0.3
"""After the first screen: what the other pages need is loaded then, so that their keys find it there."""
SWITCH_SECONDS = 0.001
"""How long the thread that reads may keep the interpreter while a key waits for its answer; Python's own is 5 ms."""


def make_page(name: str) -> Page:
    """Make the page `name` of `PAGES`. Its module is loaded now: those of hidden pages would delay the first screen."""
    module = importlib.import_module(f"lab.console.screens.{name}")
    page: Page = getattr(module, f"{name.title()}Page")()
    return page


class LabApp(App[None]):
    """The console over the runs in `home`/runs.

    Args:
        readonly: no key changes a run or a file.
        plain: no characters beyond ASCII in what the console itself draws.
        tick: seconds between two looks at the folders; 0 looks only when asked, for tests.
        clock: the present in Unix seconds.

    Attributes:
        request: what the feed is asked for; changed by `want`.
        snapshot: what it answered last.
        reading: a read is under way.
    """

    TITLE = "LoRA Lab"
    CSS_PATH = STYLES
    BINDINGS = bindings(EVERYWHERE)
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {name: partial(make_page, name) for name in PAGES}
    COMMANDS = {LabCommands}

    def __init__(
        self,
        home: Path,
        *,
        readonly: bool = False,
        plain: bool = False,
        tick: float = TICK_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self.readonly = readonly
        self.looks = Looks(plain)
        self.request = Request(plain=plain)
        self.snapshot = Snapshot()
        self.frozen = False
        self.reading = False
        self._feed = Feed(home / "runs", clock)
        self._tick = tick
        self._asked_again = False
        self._said: set[str] = set()
        self._parsed_in = ""
        self._styled: WeakKeyDictionary[Screen[Any], str] = WeakKeyDictionary()
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = DEFAULT

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return ROLE_DEFAULTS

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), *([PlainFilter()] if self.looks.plain else [])]

    def refresh_css(self, animate: bool = True) -> None:
        """Style the page on the screen anew if it was styled in another theme.

        Textual calls this whenever a page is shown for the first time, and then parses all style sheets again; but a
        new page has been styled by the sheets as they are.
        """
        shown = self.screen_stack[-1:]
        before = {self._parsed_in, *(self._styled.get(page, self._parsed_in) for page in shown)}
        if before != {self.theme}:
            super().refresh_css(animate)
            self._parsed_in = self.theme
        self._styled.update((page, self.theme) for page in shown)

    def on_mount(self) -> None:
        self.request = replace(self.request, view=View(columns=max(self.size.width, 20)))
        self.switch_mode(self.request.page)
        if self._tick:
            self.set_interval(self._tick, self.on_tick)
            self.set_timer(LOOK_AHEAD_SECONDS, self._look_ahead)

    def _look_ahead(self) -> None:
        def work() -> None:
            load_ahead()
            self._feed.look_ahead()

        self.run_worker(work, thread=True, group="ahead", exit_on_error=False)

    # the feed

    def on_tick(self) -> None:
        if not self.frozen:
            self.ask()

    def ask(self) -> None:
        """Have the folders read; while a read is under way, one more follows it."""
        if self.reading:
            self._asked_again = True
            return
        self.reading = True
        request, before = self.request, self.snapshot
        self.run_worker(lambda: self._read(request, before), thread=True, group="feed", exit_on_error=False)

    def want(self, **changes: Any) -> None:
        """Ask for something else: `changes` are fields of the request."""
        self.request = replace(self.request, **changes)
        self.ask()

    def _read(self, request: Request, before: Snapshot) -> None:
        """Runs in the worker's thread."""
        snapshot = self._feed.read(request, before)
        if snapshot != before:
            self.post_message(Arrived(snapshot))

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        if event.worker.group != "feed" or event.state in (WorkerState.PENDING, WorkerState.RUNNING):
            return
        self.reading = False
        if event.state is WorkerState.ERROR:
            self._say_once(f"Reading failed ({type(event.worker.error).__name__}): {event.worker.error}")
        if self._asked_again:
            self._asked_again = False
            self.ask()

    def on_arrived(self, message: Arrived) -> None:
        self.snapshot = message.snapshot
        for screen in self.screen_stack:
            if isinstance(screen, Page | Panel):
                screen.show(self.snapshot)
        if self.snapshot.behind:
            self.ask()

    # what pages ask of the app

    def change_view(self, **changes: Any) -> None:
        """Ask for the curves in another way: `changes` are fields of the view."""
        view = replace(self.request.view, **changes)
        if view != self.request.view:
            self.want(view=view)

    def watch_run(self, folder: Path) -> None:
        """Show a run on the Live page."""
        if folder != self.request.run:
            view = self.request.view
            self.want(run=folder, view=View(columns=view.columns, smoothing=view.smoothing))
        if self.current_mode != "live":
            self.switch_mode("live")

    def mark(self, folder: Path) -> None:
        """Mark a run for comparison, or take its mark away."""
        marked = self.request.marked
        self.want(marked=tuple(f for f in marked if f != folder) if folder in marked else (*marked, folder))

    def next_study(self) -> None:
        """Compare the next study; marks go before studies."""
        if self.request.marked:
            self.say("The marked runs are compared. u on page 2 or 4 takes the marks away.")
            return
        from lab.console.results import next_study

        self.want(study=next_study(self.snapshot.runs, self.request.study))

    def peek(self, folder: Path, panel: Panel[None]) -> None:
        """Open the log of a run; the feed reads it as long as it is open."""
        self.want(log=folder)
        self.push_screen(panel, lambda _: self.want(log=None))

    def act(self, work: Callable[[], Done]) -> None:
        """Do something away from the screen and say what came of it."""
        self.run_worker(lambda: self._act(work), thread=True, group="act", exit_on_error=False)

    def _act(self, work: Callable[[], Done]) -> None:
        """Runs in a worker's thread."""
        try:
            self.call_from_thread(self._acted, work())
        except (LabError, OSError) as error:
            self.call_from_thread(self.say, str(error), failed=True)

    def _acted(self, done: Done) -> None:
        self.say(done.line)
        if done.watch is not None:
            self.watch_run(done.watch)
        self.ask()

    def say(self, text: str, *, failed: bool = False) -> None:
        """Show a notice, as plain text."""
        clean = sanitize(text, newlines=False, limit=300)
        self.notify(clean, severity="error" if failed else "information", markup=False)

    def _say_once(self, text: str) -> None:
        """Show a failure that the next tick may well repeat, but once."""
        if text not in self._said:
            self._said.add(text)
            self.say(text, failed=True)

    # keys that work everywhere

    def action_page(self, name: str) -> None:
        if name in PAGES and len(self.screen_stack) == 1:
            screen_busy()
            self.switch_mode(name)

    def action_help(self) -> None:
        from lab.console.screens.help import HelpPanel

        self.push_screen(HelpPanel(self.current_mode))

    def action_next_theme(self) -> None:
        self.theme = next_theme(self.theme)

    def action_freeze(self) -> None:
        self.frozen = not self.frozen
        page: Screen[Any] = self.screen_stack[0]
        if isinstance(page, Page):
            page.show(self.snapshot)

    def action_leave(self) -> None:
        self.exit()


def farewell(root: Path) -> str:
    """Return the line that stands in the shell after leaving: which runs go on, and how to come back to them."""
    living = [info for info in list_runs(root) if info.state in LIVE]
    if not living:
        return ""
    names = ", ".join(sanitize(info.id, newlines=False) for info in living[:3])
    more = f" and {len(living) - 3} more" if len(living) > 3 else ""
    verb = "goes" if len(living) == 1 else "go"
    return f"{plural(len(living), 'run')} {verb} on: {names}{more}.\nCome back with `lab`, or `lab runs watch`.\n"


def run(home: Path, *, readonly: bool = False, ascii: bool = False) -> None:  # noqa: A002
    """Open the console on the runs in `home`/runs, and say after it which of them go on."""
    os.environ["LAB_HOME"] = str(home)  # runs that are started from here belong there
    sys.setswitchinterval(SWITCH_SECONDS)
    plain = ascii or "utf" not in (sys.stdout.encoding or "").lower()
    LabApp(home, readonly=readonly, plain=plain).run()
    sys.stdout.write(farewell(home / "runs"))

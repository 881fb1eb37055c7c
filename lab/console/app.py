"""`lab` without a verb: the console. It reads run folders, and runs go on whether it is open or not."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from textual.app import App
from textual.worker import Worker, WorkerState

from lab.console.charts import View
from lab.console.feed import Arrived, Feed, Request, Snapshot
from lab.console.keys import EVERYWHERE, PAGES, bindings
from lab.console.looks import Looks
from lab.console.screens.help import HelpPanel
from lab.console.screens.live import LivePage
from lab.console.screens.page import Page
from lab.console.screens.runs import RunsPage
from lab.console.themes import DEFAULT, ROLE_DEFAULTS, THEMES, next_theme
from lab.runs.state import LIVE
from lab.runs.store import list_runs
from lab.text import plural, sanitize

TICK_SECONDS = 0.5
FIRST_PAGE = "runs"


class LabApp(App[None]):
    """The console over the runs in `home`/runs.

    Args:
        readonly: no key changes a run or a file.
        plain: no characters beyond ASCII in bars and curves.
        tick: seconds between two looks at the folders; 0 looks only when asked, for tests.
        clock: the present in Unix seconds.
    """

    TITLE = "LoRA Lab"
    CSS_PATH = "app.tcss"
    BINDINGS = bindings(EVERYWHERE)
    MODES = {"runs": RunsPage, "live": LivePage}
    ENABLE_COMMAND_PALETTE = True

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
        self.snapshot = Snapshot()
        self.view = View()
        self.run_folder: Path | None = None
        self.frozen = False
        self._feed = Feed(home / "runs", clock)
        self._tick = tick
        self.reading = False
        self._asked_again = False
        self._said: set[str] = set()
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = DEFAULT

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return ROLE_DEFAULTS

    def on_mount(self) -> None:
        self.switch_mode(FIRST_PAGE)
        if self._tick:
            self.set_interval(self._tick, self._on_tick)

    # the feed

    def _on_tick(self) -> None:
        if not self.frozen:
            self.ask()

    def ask(self) -> None:
        """Have the folders read; while a read is under way, one more follows it."""
        if self.reading:
            self._asked_again = True
            return
        self.reading = True
        request = Request(self.current_mode, self.run_folder, self.view)
        self.run_worker(lambda: self._read(request), thread=True, group="feed", exit_on_error=False)

    def _read(self, request: Request) -> None:
        """Runs in the worker's thread."""
        snapshot = self._feed.read(request)
        if snapshot != self.snapshot:
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

    def say(self, text: str, *, failed: bool = False) -> None:
        """Show a notice, as plain text."""
        clean = sanitize(text, newlines=False, limit=300)
        self.notify(clean, severity="error" if failed else "information", markup=False)

    def _say_once(self, text: str) -> None:
        """Show a failure that the next tick may well repeat, but once."""
        if text not in self._said:
            self._said.add(text)
            self.say(text, failed=True)

    def on_arrived(self, message: Arrived) -> None:
        self.snapshot = message.snapshot
        page = self.page_shown
        if page is not None:
            page.show(self.snapshot)
        if self.snapshot.behind:
            self.ask()

    @property
    def page_shown(self) -> Page | None:
        """The page at the bottom of the stack; a panel may lie over it."""
        return next((screen for screen in self.screen_stack if isinstance(screen, Page)), None)

    def change_view(self, view: View) -> None:
        """Ask for the curves in another way."""
        if view != self.view:
            self.view = view
            self.ask()

    def watch_run(self, folder: Path) -> None:
        """Show a run on the Live page."""
        if folder != self.run_folder:
            self.run_folder = folder
            self.view = View(columns=self.view.columns, smoothing=self.view.smoothing)
        if self.current_mode == "live":
            self.ask()
        else:
            self.switch_mode("live")

    # keys that work everywhere

    def action_page(self, name: str) -> None:
        if name in PAGES and name in self.MODES:
            self.switch_mode(name)

    def action_help(self) -> None:
        self.push_screen(HelpPanel(self.current_mode))

    def action_next_theme(self) -> None:
        self.theme = next_theme(self.theme)

    def action_freeze(self) -> None:
        self.frozen = not self.frozen
        page = self.page_shown
        if page is not None:
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
    return f"{plural(len(living), 'run')} {verb} on: {names}{more}. Come back with `lab`, or `lab runs watch`.\n"


def run(home: Path, *, readonly: bool = False, ascii: bool = False) -> None:  # noqa: A002
    """Open the console on the runs in `home`/runs, and say after it which of them go on."""
    LabApp(home, readonly=readonly, plain=ascii).run()
    sys.stdout.write(farewell(home / "runs"))

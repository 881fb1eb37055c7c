"""The palette (ctrl+p): every action of the page and of the app by name, and every run to watch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from lab.console.keys import keys_of

if TYPE_CHECKING:
    from lab.console.app import LabApp

Found = tuple[str, str, Callable[[], object]]
"""What is shown, what it does (read as markup by Textual: our own words alone), and the call."""


class LabCommands(Provider):
    """Offers the table of keys, and the runs."""

    async def discover(self) -> Hits:
        for text, help_text, call in self._actions():
            yield DiscoveryHit(Content(text), call, text=text, help=help_text)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for text, help_text, call in (*self._actions(), *self._runs()):
            score = max(matcher.match(text), matcher.match(help_text) * 0.9)
            if score > 0:
                yield Hit(score, Content(text), call, text=text, help=help_text or None)

    def _actions(self) -> Iterator[Found]:
        app = cast("LabApp", self.app)
        for key in keys_of(app.current_mode):
            if key.id in ("palette", "down", "up") or (app.readonly and key.writes):
                continue
            name = (key.label or key.id).replace("_", " ")
            yield f"{name}  ({key.shown.split()[0]})", key.help, partial(self._do, key.action)

    def _do(self, action: str) -> None:
        self.app.call_later(self.screen.run_action, action)

    def _runs(self) -> Iterator[Found]:
        app = cast("LabApp", self.app)
        for row in app.snapshot.runs:
            yield f"watch {row.title}  {row.id}", "", partial(app.watch_run, row.folder)

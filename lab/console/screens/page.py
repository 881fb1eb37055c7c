"""What the pages have in common: tabs above, keys below, and a way to be shown a snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen

from lab.console.feed import Snapshot
from lab.console.keys import writing_actions
from lab.console.looks import Looks
from lab.console.widgets.frame import BRAND, NO_NOTICE, KeyLine, Tabs
from lab.console.widgets.parts import Part
from lab.console.widgets.search import Typed
from lab.text import plural

if TYPE_CHECKING:
    from lab.console.app import LabApp

BREAKPOINTS = [(0, "-tiny"), (56, "-narrow"), (76, "-normal"), (110, "-wide")]
HEIGHTS = [(0, "-flat"), (16, "-short"), (22, "-even"), (32, "-tall")]


class Page(Screen[None]):
    """One of the pages: `NAME` is its name in `keys.PAGES`."""

    NAME: ClassVar[str] = ""
    BINDINGS: ClassVar[list[BindingType]] = []
    AUTO_FOCUS = ""
    HORIZONTAL_BREAKPOINTS = BREAKPOINTS
    VERTICAL_BREAKPOINTS = HEIGHTS

    @property
    def lab(self) -> LabApp:
        from lab.console.app import LabApp

        return cast(LabApp, self.app)

    @property
    def looks(self) -> Looks:
        return self.lab.looks

    def compose(self) -> ComposeResult:
        yield Tabs(self.NAME)
        yield from self.body()
        yield KeyLine(self.NAME, readonly=self.lab.readonly)

    def body(self) -> ComposeResult:
        """The widgets between tabs and keys."""
        yield from ()

    def show(self, snapshot: Snapshot) -> None:
        """Show what is new."""
        frozen, readonly = self.lab.frozen, self.lab.readonly
        brand: Part = ("frozen p", "bold $warning") if frozen and not readonly else BRAND
        notice: Part = ("frozen p  read-only", "bold $warning") if frozen else ("read-only", "$quiet")
        living = len(snapshot.living)
        right: tuple[Part, ...] = ((plural(living, "run") + " live", "$quiet"),) if living else ()
        self.query_one(Tabs).put(brand, right, notice if readonly else NO_NOTICE)
        self.show_keys()

    def show_keys(self) -> None:
        """Have the line at the bottom offer the keys that do something now."""
        typing = self.focused.KEYS if isinstance(self.focused, Typed) else ()
        self.query_one(KeyLine).put(self.idle(), typing)

    def idle(self) -> set[str]:
        """Return the actions that have nothing to do at present: their keys say why, but are not offered."""
        return set()

    def on_descendant_focus(self) -> None:
        self.show_keys()

    def on_descendant_blur(self) -> None:
        self.show_keys()

    def on_resize(self) -> None:
        self.show_keys()

    def on_screen_resume(self) -> None:
        self.show(self.lab.snapshot)
        self.lab.want(page=self.NAME)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Refuse everything that changes a run or a file under `--readonly`."""
        return not (self.lab.readonly and action in writing_actions())

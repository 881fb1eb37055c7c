"""Every key of the console, once: the table that makes bindings, the footer, the `?` page and the README's list.

An action that begins with `app.` belongs to the app and works on every page.
"""

from __future__ import annotations

from dataclasses import dataclass

from textual.binding import Binding, BindingType

PAGES = ("profiles", "runs", "live", "results", "samples", "system")
EVERYWHERE = "everywhere"
LISTS = ("profiles", "runs", "results", "samples")


@dataclass(frozen=True)
class Key:
    """One action and the keys that call it.

    Attributes:
        id: stable name, for keymaps and tests.
        keys: as Textual writes them, separated by commas; the first is the one shown.
        pages: where it works; `everywhere` for all pages.
        label: a word for the footer; empty keeps it off the footer.
        help: what it does, in a sentence.
        writes: it changes runs or files, and is off under `--readonly`.
    """

    id: str
    keys: str
    action: str
    pages: tuple[str, ...]
    label: str
    help: str
    writes: bool = False

    @property
    def shown(self) -> str:
        """The keys as people read them."""
        return " ".join(_NAMES.get(key, key) for key in self.keys.split(","))


_NAMES = {
    "question_mark": "?",
    "slash": "/",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "space": "space",
    "escape": "esc",
    "enter": "enter",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "ctrl+p": "ctrl+p",
    "dollar_sign": "$",
    "minus": "-",
    "pagedown": "pgdn",
    "pageup": "pgup",
    "tab": "tab",
}

KEYS: tuple[Key, ...] = (
    *(
        Key(page, str(number), f"app.page('{page}')", (EVERYWHERE,), "", f"Go to {page.title()}.")
        for number, page in enumerate(PAGES, 1)
    ),
    Key("help", "question_mark,f1", "app.help", (EVERYWHERE,), "help", "Show this page."),
    Key("palette", "ctrl+p", "app.command_palette", (EVERYWHERE,), "", "Search all actions by name."),
    Key(
        "theme", "t", "app.next_theme", (EVERYWHERE,), "", "Next theme: dark, light, colour-blind safe, the terminal's."
    ),
    Key("freeze", "p", "app.freeze", (EVERYWHERE,), "", "Freeze the screen, or let it go on; runs are not touched."),
    Key("leave", "q", "app.leave", (EVERYWHERE,), "leave", "Leave the console. Every run goes on."),
    # lists
    Key("down", "down,j", "down", ("runs",), "", "Next row."),
    Key("up", "up,k", "up", ("runs",), "", "Previous row."),
    Key("first", "home,g", "first", ("runs",), "", "First row."),
    Key("last", "end,G", "last", ("runs",), "", "Last row."),
    # runs
    Key("open", "enter", "open", ("runs",), "watch", "Watch the run on the Live page."),
    # live
    Key("smooth", "s", "smooth", ("live",), "smooth", "Smooth the loss: off, .6, .9."),
    Key("log_axis", "y", "log_axis", ("live",), "log y", "Logarithmic or linear loss and grad norm."),
    Key("zoom", "z", "zoom", ("live",), "zoom", "The newest quarter of the steps, or all of them."),
    Key(
        "narrower", "left_square_bracket", "narrower", ("live",), "", "Show half as many steps, still up to the newest."
    ),
    Key("wider", "right_square_bracket", "wider", ("live",), "", "Show twice as many steps."),
    Key("cursor_left", "left,b", "cursor(-1)", ("live",), "", "Move the cursor to earlier steps, to read values."),
    Key("cursor_right", "right,w", "cursor(1)", ("live",), "", "Move the cursor to later steps."),
    Key("no_cursor", "escape", "no_cursor", ("live",), "", "Put the cursor away."),
    Key("chart", "c,tab", "chart", ("live",), "chart", "Next chart, where only one has room or one is enlarged."),
    Key("enlarge", "f,enter", "enlarge", ("live",), "", "Give one chart the whole page, or show all."),
    Key("next_run", "down,j", "step_run(1)", ("live",), "", "Watch the next run of the list."),
    Key("previous_run", "up,k", "step_run(-1)", ("live",), "", "Watch the run before."),
)


def keys_of(page: str) -> list[Key]:
    """Return the keys that work on `page`, its own before those that work everywhere."""
    return [k for k in KEYS if page in k.pages] + [k for k in KEYS if EVERYWHERE in k.pages]


def bindings(page: str) -> list[BindingType]:
    """Return Textual's bindings for the keys of `page`, or for those that work everywhere."""
    found = [k for k in KEYS if page in k.pages]
    return [Binding(k.keys, k.action, k.label or k.id, show=False, id=k.id, tooltip=k.help) for k in found]


def writing_actions() -> set[str]:
    """Return the names of the actions that change something."""
    return {key.action.partition("(")[0].removeprefix("app.") for key in KEYS if key.writes}

"""Every key of the console, once: the table that makes bindings, the footer, the `?` page and the README's list.

An action that begins with `app.` belongs to the app and works on every page.
"""

from __future__ import annotations

from dataclasses import dataclass

from textual.binding import Binding, BindingType

PAGES = ("profiles", "runs", "live", "results", "samples", "system", "chat")
PANELS = ("rating",)
"""What lies over a page and has keys of its own."""
EVERYWHERE = "everywhere"


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
    def name(self) -> str:
        """The action without what it is given."""
        return self.action.partition("(")[0]

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
    "ctrl+p": "^p",
    "dollar_sign": "$",
    "equals_sign": "=",
    "minus": "-",
    "pagedown": "pgdn",
    "pageup": "pgup",
    "tab": "tab",
}

LISTS = ("profiles", "runs", "results")

KEYS: tuple[Key, ...] = (
    *(
        Key(page, str(number), f"app.page('{page}')", (EVERYWHERE,), "", f"Go to {page.title()}.")
        for number, page in enumerate(PAGES, 1)
    ),
    Key("help", "question_mark,f1", "app.help", (EVERYWHERE,), "help", "Show these keys."),
    Key("palette", "ctrl+p", "app.command_palette", (EVERYWHERE,), "more", "Search actions and runs by name."),
    Key("theme", "t", "app.next_theme", (EVERYWHERE,), "", "Next theme: dark, light, colour-blind safe, terminal's."),
    Key("freeze", "p", "app.freeze", (EVERYWHERE,), "", "Freeze the screen, or let it go on. Runs go on."),
    Key("leave", "q", "app.leave", (EVERYWHERE,), "leave", "Leave the console. Every run goes on."),
    # lists
    Key("down", "down,j", "down", LISTS, "", "Next row."),
    Key("up", "up,k", "up", LISTS, "", "Previous row."),
    Key("page_down", "pagedown,ctrl+f", "page_down", LISTS, "", "A page further down."),
    Key("page_up", "pageup,ctrl+b", "page_up", LISTS, "", "A page further up."),
    Key("first", "home,g", "first", LISTS, "", "First row."),
    Key("last", "end,G", "last", LISTS, "", "Last row."),
    # profiles
    Key("start", "enter", "start", ("profiles",), "start", "Start a run of the profile, or a study's rows.", True),
    Key("edit", "e", "edit", ("profiles",), "edit a copy", "Change values in a copy, checked as you type.", True),
    Key("plan", "v", "plan", ("profiles",), "plan", "Data report, steps, memory and time, without training."),
    Key("find_profile", "slash", "find", ("profiles",), "search", "Search names, methods, models, data."),
    Key("defaults", "a", "defaults", ("profiles",), "all values", "Show all values, or only those somebody set."),
    Key("scroll_down", "J,ctrl+d", "scroll(1)", ("profiles",), "", "Scroll the values down."),
    Key("scroll_up", "K,ctrl+u", "scroll(-1)", ("profiles",), "", "Scroll the values up."),
    Key("clear_profile", "escape", "clear", ("profiles",), "", "Put the search away."),
    # runs
    Key("open", "enter", "open", ("runs",), "watch", "Watch the run on the Live page."),
    Key("filter", "slash", "filter", ("runs",), "filter", "Filter: method=qlora rank>=8 loss<1.2 tag:alpaca."),
    Key("mark", "space", "mark", ("runs", "results"), "mark", "Mark the run for Results and Samples."),
    Key("stop", "x", "stop", ("runs", "live"), "stop", "Stop it: finish the step, save, end. Asks first.", True),
    Key("resume", "r", "resume", ("runs", "live"), "resume", "Go on from its newest checkpoint. Asks first.", True),
    Key("log", "l", "log", ("runs", "live"), "log", "Look at the end of its log."),
    Key("unmark", "u", "unmark", ("runs", "results"), "", "Take all marks away."),
    Key("sort", "o", "sort", ("runs", "results"), "sort", "Sort by the next column."),
    Key("reverse", "O", "reverse", ("runs", "results"), "", "Turn the order round."),
    Key("studies", "b", "studies", ("runs",), "", "Group by study, or one list."),
    Key("archived", "A", "archived", ("runs",), "", "Show archived runs too, or hide them."),
    Key("clear_filter", "escape", "clear", ("runs",), "", "Put the filter away."),
    Key("label", "n", "label", ("runs", "live"), "", "Give it a name, tags, notes.", True),
    Key("archive", "a", "archive", ("runs",), "", "Take it out of the list, or put it back.", True),
    Key("delete", "d", "delete", ("runs",), "", "Delete it with all its files. Asks first.", True),
    # live
    Key("smooth", "s", "smooth", ("live",), "smooth", "Smooth the loss: off, .6, .9."),
    Key("log_axis", "y", "log_axis", ("live",), "log y", "Logarithmic or linear loss and grad norm."),
    Key("zoom", "z", "zoom", ("live",), "zoom", "The newest quarter of the steps, or all of them."),
    Key("narrower", "left_square_bracket", "narrower", ("live",), "", "Half as many steps, up to the newest."),
    Key("wider", "right_square_bracket", "wider", ("live",), "", "Twice as many steps."),
    Key("cursor_left", "left,b", "cursor(-1)", ("live",), "", "Move the cursor to earlier steps, to read values."),
    Key("cursor_right", "right,w", "cursor(1)", ("live",), "", "Move the cursor to later steps."),
    Key("no_cursor", "escape", "no_cursor", ("live",), "", "Put the cursor, or the large chart, away."),
    Key("chart", "c,tab", "chart", ("live",), "chart", "Next chart, where only one is shown."),
    Key("enlarge", "f,enter", "enlarge", ("live",), "", "Give one chart the whole page, or show all."),
    Key("all_notes", "a", "notes", ("live",), "", "All checkpoints, alerts, resumes and the end."),
    Key("why", "i", "why", ("live",), "why", "How it runs, and why: its recipe's choices, and memory."),
    Key("next_run", "down,j", "step_run(1)", ("live",), "", "Watch the next run of the list."),
    Key("previous_run", "up,k", "step_run(-1)", ("live",), "", "Watch the run before."),
    # results
    Key("view", "v", "view", ("results",), "view", "Next view: table, bars, loss curves."),
    Key("study", "b", "study", ("results", "samples"), "", "Compare the next study, or the newest evaluated runs."),
    Key("smooth_curves", "s", "smooth", ("results",), "smooth", "Smooth the loss curves: off, .6, .9."),
    Key("log_curves", "y", "log_axis", ("results",), "log y", "Logarithmic or linear loss curves."),
    Key("columns_left", "left,h", "shift(-1)", ("results",), "", "Earlier columns."),
    Key("columns_right", "right,l", "shift(1)", ("results",), "", "Later columns."),
    Key("notes", "n", "notes", ("results",), "notes", "Read warnings, notes, differences and signatures in full."),
    Key("export", "e", "export", ("results",), "export", "Write the table as md, csv or json.", True),
    Key("open_result", "enter", "open", ("results",), "", "Watch the run on the Live page."),
    # samples
    Key("next_sample", "down,j,n", "move(1)", ("samples",), "next", "Next row of the test set."),
    Key("previous_sample", "up,k,N", "move(-1)", ("samples",), "", "The row before."),
    Key("first_sample", "home,g", "move_to(0)", ("samples",), "", "First row."),
    Key("last_sample", "end,G", "move_to(-1)", ("samples",), "", "Last row."),
    Key("sample_down", "pagedown,J,ctrl+d", "scroll(1)", ("samples",), "", "Scroll the texts down."),
    Key("sample_up", "pageup,K,ctrl+u", "scroll(-1)", ("samples",), "", "Scroll the texts up."),
    Key("sort_samples", "o", "sort", ("samples",), "sort", "As asked, worst first, or widest disagreement first."),
    Key("find_sample", "slash", "find", ("samples",), "search", "Rows with a text in prompt, reference or answers."),
    Key("clear_sample", "escape", "clear", ("samples",), "", "Put the search away."),
    Key("differences", "w", "differences", ("samples",), "differences", "Mark words that differ from the reference."),
    Key("stack", "v", "stack", ("samples",), "", "Answers side by side, or one below the other."),
    Key("whole", "f", "whole", ("samples",), "", "The prompt whole, or only its last lines."),
    Key("copy", "c", "copy", ("samples",), "copy", "Copy the row with all its answers."),
    Key("rate", "r", "rate", ("samples",), "rate", "Judge two marked runs' answers blind.", True),
    # rating
    Key("first_better", "1,left", "verdict('left')", ("rating",), "better", "Answer 1 is better."),
    Key("second_better", "2,right", "verdict('right')", ("rating",), "better", "Answer 2 is better."),
    Key("tie", "t,equals_sign", "verdict('tie')", ("rating",), "tie", "Neither is better."),
    Key("skip", "s", "verdict('skip')", ("rating",), "skip", "No verdict on this row."),
    Key("flag", "f", "flag", ("rating",), "flag", "Something is wrong with this row: write what."),
    Key("undo", "u,backspace", "undo", ("rating",), "undo", "Take the last verdict or flag back."),
    Key("reference", "r", "reference", ("rating",), "reference", "Show the reference, or hide it."),
    Key("result", "v", "result", ("rating",), "result", "The win rate with its interval; names are said there."),
    Key("rating_down", "down,j,pagedown", "scroll(1)", ("rating",), "", "Scroll down."),
    Key("rating_up", "up,k,pageup", "scroll(-1)", ("rating",), "", "Scroll up."),
    Key("close_rating", "escape,q", "give_up", ("rating",), "close", "Close it; what was said is kept."),
    # system
    Key("system_down", "down,j,pagedown", "scroll(1)", ("system",), "", "Scroll down."),
    Key("system_up", "up,k,pageup", "scroll(-1)", ("system",), "", "Scroll up."),
    # chat
    Key("write", "enter,i", "write", ("chat",), "write", "Load the model if need be, and write a question.", True),
    Key("end_answer", "escape,ctrl+c", "end_answer", ("chat",), "", "End the answer under way, or leave the line."),
    Key("both", "b", "both", ("chat",), "base too", "The untouched base answers beside the tuned model, or not."),
    Key("preset", "a", "preset", ("chat",), "assistant", "Choose one of the assistant's tools, fill it in.", True),
    Key(
        "system_prompt",
        "y",
        "system_prompt",
        ("chat",),
        "system",
        "The system prompt of a new conversation.",
        True,
    ),
    Key("sampling", "s", "sampling", ("chat",), "sampling", "Temperature, top-p, penalty, length and seed.", True),
    Key("new_chat", "n", "new", ("chat",), "new", "Begin a new conversation."),
    Key("conversations", "o", "conversations", ("chat",), "", "Go on with an earlier conversation."),
    Key("chat_run", "r", "pick_run", ("chat",), "run", "Choose the run to talk to."),
    Key("unload", "x", "unload", ("chat",), "", "End the model's process, which frees its memory."),
    Key("chat_down", "down,j,pagedown,J,ctrl+d", "scroll(1)", ("chat",), "", "Scroll down."),
    Key("chat_up", "up,k,pageup,K,ctrl+u", "scroll(-1)", ("chat",), "", "Scroll up."),
    Key("copy_answer", "c", "copy_answer", ("chat",), "", "Copy what was said last."),
)


def keys_of(page: str) -> list[Key]:
    """Return the keys that work on `page`, its own before those that work everywhere; a panel has its own alone."""
    general = () if page in PANELS else [k for k in KEYS if EVERYWHERE in k.pages]
    return [*(k for k in KEYS if page in k.pages), *general]


def bindings(page: str) -> list[BindingType]:
    """Return Textual's bindings for the keys of `page`, or for those that work everywhere."""
    found = [k for k in KEYS if page in k.pages]
    return [Binding(k.keys, k.action, k.label or k.id, show=False, id=k.id, tooltip=k.help) for k in found]


def as_markdown() -> str:
    """Return all keys as the README lists them: a table for each page, then those that work everywhere."""
    parts = []
    for page in (*PAGES, *PANELS, EVERYWHERE):
        rows = [f"| `{key.shown.replace('|', chr(92) + '|')}` | {key.help} |" for key in KEYS if page in key.pages]
        parts.append(f"**{page.title()}**\n\n| key | what it does |\n|---|---|\n" + "\n".join(rows))
    return "\n\n".join(parts) + "\n"


def writing_actions() -> set[str]:
    """Return the names of the actions that change something."""
    return {key.name.removeprefix("app.") for key in KEYS if key.writes}

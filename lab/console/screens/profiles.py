"""Page 1: profiles and studies; the one under the cursor with every value and what set it. Runs start here."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Container, Vertical

from lab.console.feed import Snapshot
from lab.console.keys import bindings
from lab.console.profileparts import COLUMNS, matching, table_row, value_lines
from lab.console.screens.confirm import Choice, ConfirmPanel
from lab.console.screens.form import FieldLine, FormPanel, Values
from lab.console.screens.lists import ListPage
from lab.console.screens.plan import PlanPanel
from lab.console.widgets.lines import Lines
from lab.console.widgets.parts import Line, Part
from lab.console.widgets.search import Search
from lab.console.widgets.table import Table
from lab.text import plural

if TYPE_CHECKING:
    from lab.console.profilelist import ProfileRow


class ProfilesPage(ListPage):
    NAME = "profiles"
    BINDINGS = bindings("profiles")

    def __init__(self) -> None:
        super().__init__()
        self._all_values = False
        self._search = ""

    def body(self) -> ComposeResult:
        with Container(id="split"):
            with Vertical(id="list"):
                yield Line("profiles-heading", fill=self.looks.rule)
                yield Table("profiles-table", COLUMNS)
            with Vertical(id="detail"):
                yield Line("profile-title", fill=self.looks.rule)
                yield Lines("profile-values")
        yield Search("part of a name, method, model or data set")

    def show(self, snapshot: Snapshot) -> None:
        super().show(snapshot)
        rows = matching(snapshot.profiles, self._search)
        heading: list[Part] = [("profiles  ", "bold"), (str(len(rows)), "bold $primary")]
        heading += [(f"  {self._search}", "$accent")] if self._search else []
        self.query_one("#profiles-heading", Line).put(heading)
        empty: Part = ("No profile fits." if self._search else "There are no profiles on the search path.", "$quiet")
        self.table.put([table_row(row) for row in rows], empty=[empty] if snapshot.loaded else [])
        self._tell()

    @property
    def profile(self) -> ProfileRow | None:
        """The profile or study under the cursor."""
        return next((row for row in self.lab.snapshot.profiles if (row.kind, row.name) == self.table.key), None)

    def idle(self) -> set[str]:
        profile = self.profile
        if profile is None or profile.problem:
            return {"start", "edit", "plan", "defaults"}
        return {"edit", "plan", "defaults"} if profile.kind == "study" else set()

    def _tell(self, *, to_top: bool = False) -> None:
        self.show_keys()
        profile = self.profile
        values = self.query_one("#profile-values", Lines)
        width = values.size.width or self.size.width
        values.put(value_lines(profile, width, every=self._all_values) if profile is not None else [], to_top=to_top)
        self._put_title()

    @on(Lines.Moved)
    def _put_title(self) -> None:
        profile = self.profile
        name, what = (profile.name, profile.summary) if profile is not None else ("", "")
        span = self.query_one("#profile-values", Lines).span
        ends = [[what, f"{span}  J K"], [f"{span}  J K"]] if span else [[what]]
        rights: list[list[Part]] = [[("   ".join(filter(None, end)), "$quiet")] for end in ends if any(end)]
        self.query_one("#profile-title", Line).put([(name, "bold")], *rights)

    @on(Table.Moved)
    def _moved(self) -> None:
        self._tell(to_top=True)

    @on(Table.Opened)
    def _opened(self) -> None:
        self.action_start()

    @on(Search.Asked)
    def _asked(self, event: Search.Asked) -> None:
        self._search = event.text
        self.show(self.lab.snapshot)

    # keys

    def action_find(self) -> None:
        self.query_one(Search).open()

    def action_clear(self) -> None:
        self.query_one(Search).action_put_away()

    def action_defaults(self) -> None:
        self._all_values = not self._all_values
        self._tell(to_top=True)

    def action_scroll(self, by: int) -> None:
        self.query_one("#profile-values", Lines).page(by)

    def action_start(self) -> None:
        profile = self.profile
        if profile is None:
            return
        if profile.problem:
            self.lab.say(profile.problem, failed=True)
            return
        lines = [profile.description or profile.summary]
        if profile.kind == "study":
            lines.append(f"{plural(len(profile.values), 'run')}, one after the other; rows that are done are kept.")
        self._ask(f"Start {profile.name}?", lines, profile.kind, profile.name)

    def _ask(self, question: str, lines: list[str], kind: str, name: str, sets: Sequence[str] = ()) -> None:
        """Ask before anything is started: it takes the machine for as long as it runs."""
        lines = [*lines, "It goes on when the console is closed."]
        panel = ConfirmPanel(question, lines, [Choice("y", "start", kind)])
        self.app.push_screen(panel, partial(self._start, name, sets))

    def _start(self, name: str, sets: Sequence[str], answer: str | None) -> None:
        from lab.console import acts

        if answer == "study":
            self.lab.act(partial(acts.start_study, name))
        elif answer:
            self.lab.act(partial(acts.start_profile, name, sets))

    def action_plan(self) -> None:
        key = self.table.key
        if isinstance(key, tuple) and key[0] == "profile":
            self.app.push_screen(PlanPanel(str(key[1])))
        else:
            self.lab.say("A plan is made of one profile; a study's rows are below.")

    def action_edit(self) -> None:
        key = self.table.key
        if not isinstance(key, tuple) or key[0] == "study":
            self.lab.say("A study is changed in its file; copies are made of profiles.")
            return
        from lab.console import acts

        name = str(key[1])
        fields = [
            FieldLine("changes", "changes, with ; between them", "", "method.rank=8; train.learning_rate=5e-4"),
            FieldLine("save", "save as (a name), or leave empty to start it once", "", "my-lora"),
        ]
        panel = FormPanel(f"A copy of {name}", fields, partial(acts.check_copy, name))
        self.app.push_screen(panel, partial(self._copied, name))

    def _copied(self, name: str, values: Values | None) -> None:
        from lab.console import acts

        if values is None:
            return
        sets = acts.assignments(values["changes"])
        if values["save"].strip():
            self.lab.act(partial(acts.save_copy, name, values["save"].strip(), sets))
        else:
            changes = f"Once, with {', '.join(sets)}." if sets else "Once, with nothing changed."
            self._ask(f"Start a copy of {name}?", [changes], "profile", name, sets)

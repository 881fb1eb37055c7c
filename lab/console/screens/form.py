"""A few lines to fill in, checked as one types: a run's labels, a changed copy of a profile, the place of an export."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Input, Static

from lab.console.screens.panel import Panel

Values = dict[str, str]
Check = Callable[[Values], str]
"""Returns what is wrong with the values, or an empty string."""


@dataclass(frozen=True)
class FieldLine:
    """One line of a form."""

    name: str
    label: str
    value: str = ""
    hint: str = ""


class FormPanel(Panel[Values]):
    """Gives the values on enter in the last line, once `check` finds nothing wrong with them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]

    def __init__(self, title: str, fields: Sequence[FieldLine], check: Check = lambda values: "") -> None:
        super().__init__()
        self._title, self._fields, self._check = title, tuple(fields), check

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="box", can_focus=False):
            yield Static(Content.assemble((self._title + "\n", "bold")), markup=False)
            for field in self._fields:
                yield Static(field.label, markup=False, classes="label")
                line = Input(field.value, id=f"field-{field.name}", placeholder=field.hint, compact=True)
                line.cursor_blink = False
                yield line
            yield Static("", id="complaint", markup=False)
            step = "enter goes on and takes it in the last line" if len(self._fields) > 1 else "enter takes it"
            yield Static(f"{step}, esc leaves it", markup=False, classes="label")

    def on_mount(self) -> None:
        self.query(Input).first().focus()
        self._complain()

    @property
    def values(self) -> Values:
        return {field.name: self.query_one(f"#field-{field.name}", Input).value for field in self._fields}

    @on(Input.Changed)
    def _complain(self) -> str:
        wrong = self._check(self.values)
        self.query_one("#complaint", Static).update(Content(wrong))
        return wrong

    @on(Input.Submitted)
    def _take(self, event: Input.Submitted) -> None:
        if event.input is not self.query(Input).last():
            self.focus_next(Input)
        elif not self._complain():
            self.dismiss(self.values)

"""What the Chat page asks over itself: how answers are drawn, and which tool of the assistant with what in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from textual.app import App

from lab.console.screens.form import FormPanel, Values
from lab.console.screens.pick import PickPanel
from lab.text import sanitize

if TYPE_CHECKING:
    from lab.profile.presets import Preset
    from lab.profile.sampling import Sampling


def ask_sampling(app: App[Any], sampling: Sampling | None, taken: Callable[[Sampling], None]) -> None:
    """Show the sampling as a form; `taken` is given what was filled in."""
    from lab.console.chatforms import check_sampling_form, sampling_fields, sampling_of
    from lab.profile.sampling import Sampling

    def filled(values: Values | None) -> None:
        if values is not None:
            taken(sampling_of(values))

    app.push_screen(FormPanel("Sampling", sampling_fields(sampling or Sampling()), check_sampling_form), filled)


def ask_preset(app: App[Any], taken: Callable[[Preset, str], None]) -> None:
    """List the assistant's tools; `taken` is given the chosen one and its question, once its fields are filled in."""
    from lab.console.chatforms import preset_choices

    def chosen(name: str | None) -> None:
        if name is not None:
            _fill(app, name, taken)

    app.push_screen(PickPanel("The assistant's tools", preset_choices()), chosen)


def _fill(app: App[Any], name: str, taken: Callable[[Preset, str], None]) -> None:
    from lab.console.chatforms import check_preset, preset_fields
    from lab.errors import LabError
    from lab.profile.presets import fill, load_preset

    try:
        preset = load_preset(name)
    except LabError as error:
        app.notify(sanitize(str(error), newlines=False, limit=300), severity="error", markup=False)
        return

    def filled(values: Values | None) -> None:
        if values is not None:
            taken(preset, fill(preset, values))

    if preset.field:
        title = sanitize(preset.title, newlines=False)
        app.push_screen(FormPanel(title, preset_fields(preset), lambda v: check_preset(preset, v)), filled)
    else:
        filled({})

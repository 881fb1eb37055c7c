"""The forms of the Chat page as fields and checks: sampling, and what an assistant's tool wants filled in.

Loads the profile's schema, so it is imported where a form is opened.
"""

from __future__ import annotations

from lab.console.screens.form import FieldLine, Values
from lab.errors import LabError, UsageError
from lab.profile.presets import Preset, check_sampling, fill, list_presets, load_preset
from lab.profile.sampling import Sampling
from lab.text import sanitize

_WHOLE = ("max_new_tokens", "seed")
_HINTS = {
    "temperature": "0 is greedy; above it answers are drawn",
    "top_p": "draw from the smallest set of tokens with this probability",
    "repetition_penalty": "above 1 repeated tokens are less likely",
    "max_new_tokens": "longest answer in tokens",
    "seed": "of the draw",
}


def sampling_fields(sampling: Sampling) -> list[FieldLine]:
    """Return a line for each setting."""
    return [FieldLine(key, f"{key}: {hint}", str(getattr(sampling, key))) for key, hint in _HINTS.items()]


def sampling_of(values: Values) -> Sampling:
    """Return what the form says. Raises UsageError where a value is no number, or out of range."""
    found: dict[str, float] = {}
    for key, text in values.items():
        try:
            found[key] = int(text) if key in _WHOLE else float(text)
        except ValueError:
            kind = "whole number" if key in _WHOLE else "number"
            raise UsageError(f"{key} is no {kind}.", "See the other lines.") from None
    return check_sampling(found)


def check_sampling_form(values: Values) -> str:
    """Return what is wrong with the values; empty for nothing."""
    try:
        sampling_of(values)
    except LabError as error:
        return error.problem
    return ""


def preset_choices() -> list[tuple[str, str, str]]:
    """Return (name, title, description) of every preset, its fault instead where it is broken."""
    found: list[tuple[str, str, str]] = []
    for name, path in list_presets():
        clean = sanitize(name, newlines=False)
        try:
            preset = load_preset(str(path))
        except LabError as error:
            found.append((name, clean, sanitize(error.problem, newlines=False)))
        else:
            title, what = (sanitize(text, newlines=False) for text in (preset.title, preset.description))
            found.append((name, title, what))
    return found


def preset_fields(preset: Preset) -> list[FieldLine]:
    """Return a line for each field of a preset."""
    return [
        FieldLine(
            blank.name,
            sanitize(blank.ask, newlines=False) + (f"  {', '.join(blank.choices)}" if blank.choices else ""),
            sanitize(blank.default, newlines=False),
        )
        for blank in preset.field
    ]


def check_preset(preset: Preset, values: Values) -> str:
    """Return what is still missing or wrong; empty for nothing."""
    try:
        fill(preset, values)
    except LabError as error:
        return error.problem
    return ""

"""How a run is carried out, and why: the choices of its recipe, and the memory that was estimated, tried and used."""

from __future__ import annotations

from typing import Any

from lab.console.widgets.parts import Part
from lab.console.widgets.wrap import wrap
from lab.jsonio import as_float
from lab.runs.paths import RunPaths
from lab.runs.reader import read_json
from lab.text import byte_size, pad, sanitize

NAME_WIDTH, VALUE_WIDTH = 15, 12
FACTS = {
    "estimated_peak_bytes": "estimated before it began",
    "probed_peak_bytes": "tried before it began, on the largest batch",
    "reserved_bytes": "reserved from the device at the end",
}


def why_parts(run: RunPaths, title: str, width: int) -> list[Part]:
    """Return the panel's text, folded to `width`; what was not written is not told."""
    choices = (read_json(run.recipe) or {}).get("choices")
    facts = (read_json(run.state) or {}).get("facts")
    parts: list[Part] = [(f"{title}: how it runs, and why\n\n", "bold")]
    choices = choices if isinstance(choices, dict) else {}
    for name, choice in choices.items():
        if isinstance(choice, dict):
            parts += _line(_clean(name), _value(choice.get("value")), _clean(choice.get("why") or ""), width)
    if not choices:
        parts.append(("No recipe yet: it is written once the model is loaded.\n", "$quiet"))
    for key, meaning in FACTS.items():
        size = as_float(facts.get(key)) if isinstance(facts, dict) else None
        if size is not None:
            parts += _line("memory", byte_size(size), meaning, width)
    return parts


def _line(name: str, value: str, why: str, width: int) -> list[Part]:
    """Return one choice: its reason beside it, folded, or below a value that is too long."""
    indent = NAME_WIDTH + VALUE_WIDTH + 2
    lines = wrap([(why, "$quiet")], max(width - indent, 20))
    parts: list[Part] = [(pad(name, NAME_WIDTH) + " ", "$primary"), (pad(value, VALUE_WIDTH) + " ", "bold")]
    for index, line in enumerate(lines):
        parts += [(" " * indent if index else "", ""), *line, ("\n", "")]
    return parts


def _value(value: Any) -> str:
    words = {True: "yes", False: "no"}
    return words[value] if isinstance(value, bool) else _clean("none" if value in ("", None) else value)


def _clean(value: Any) -> str:
    return sanitize(str(value).replace("_", " "), newlines=False, limit=300)

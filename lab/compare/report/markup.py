"""HTML and SVG that cannot be forgotten to be escaped: text is escaped when it enters an element, markup is not.

Called by every part of the report. Runs hold hostile text (answers, data rows, names), and all of it passes here.
"""

from __future__ import annotations

import html
from collections.abc import Iterable

VOID = frozenset({"br", "input", "meta", "link"})
Value = str | int | float | bool | None


class Markup(str):
    """Text that is HTML already. Only `element`, `join` and constants of this package make it."""

    __slots__ = ()


def element(name: str, /, *children: str, **attributes: Value) -> Markup:
    """Return `<name attributes>children</name>`; children that are no `Markup` are escaped.

    Args:
        attributes: a trailing underscore is dropped and others become hyphens (`class_`, `stroke_width`); None and
            False leave the attribute out, True writes it without a value, floats get one decimal.
    """
    opened = f"<{name}{''.join(_attribute(key, value) for key, value in attributes.items())}>"
    if name in VOID:
        return Markup(opened)
    return Markup(f"{opened}{join(children)}</{name}>")


def join(parts: Iterable[str], between: str = "") -> Markup:
    """Return `parts` one after another, each escaped unless it is `Markup`."""
    return Markup(escape(between).join(escape(part) for part in parts))


def escape(text: str) -> Markup:
    """Return `text` as content or attribute value that means nothing to a browser."""
    return text if isinstance(text, Markup) else Markup(html.escape(text, quote=True))


def _attribute(key: str, value: Value) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if name == "viewbox":
        name = "viewBox"  # SVG minds the case
    if value is True:
        return f" {name}"
    text = f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
    return f' {name}="{escape(text)}"'

"""The colours: dark, light, safe for colour-blind eyes, and the terminal's own sixteen.

Widgets name roles (`$curve-main`, `$state-live`), never colours. The series of the colour-blind theme are those of
Okabe and Ito (2008).
"""

from __future__ import annotations

from textual.theme import BUILTIN_THEMES, Theme

CURVES = ("raw", "main", "second", "third", "fourth", "fifth", "sixth")


def _curves(*colours: str) -> dict[str, str]:
    return {f"curve-{name}": colour for name, colour in zip(CURVES, colours, strict=True)}


_DARK = Theme(
    name="lab-dark",
    primary="#7cb7ff",
    secondary="#8b98ad",
    accent="#f0b45a",
    success="#74c991",
    warning="#e8c15a",
    error="#f07178",
    foreground="#d6dce5",
    background="#0f1318",
    surface="#151a21",
    panel="#1d242d",
    variables={
        **_curves("#4a5a70", "#7cb7ff", "#b79bf2", "#7fc8c2", "#f0b45a", "#74c991", "#f07178"),
        "quiet": "#76849a",
        "rule": "#2b3440",
        "block-cursor-background": "#243247",
        "block-cursor-foreground": "#eef3fa",
        "block-cursor-text-style": "none",
    },
)
_LIGHT = Theme(
    name="lab-light",
    primary="#0a5fb4",
    secondary="#5c6778",
    accent="#a45a00",
    success="#1b7a40",
    warning="#8a6100",
    error="#b3261e",
    foreground="#20262e",
    background="#fbfbf8",
    surface="#f2f2ee",
    panel="#e7e7e2",
    dark=False,
    variables={
        **_curves("#a9bad0", "#0a5fb4", "#6b46c1", "#0f766e", "#a45a00", "#1b7a40", "#b3261e"),
        "quiet": "#6a7382",
        "rule": "#d3d5d2",
        "block-cursor-background": "#d5e4f5",
        "block-cursor-foreground": "#10161d",
        "block-cursor-text-style": "none",
    },
)
_CVD = Theme(
    name="lab-cvd",
    primary="#56b4e9",
    secondary="#9aa3ad",
    accent="#e69f00",
    success="#56b4e9",
    warning="#f0e442",
    error="#d55e00",
    foreground="#e6e6e6",
    background="#101214",
    surface="#171a1d",
    panel="#20242a",
    variables={
        **_curves("#5b6570", "#56b4e9", "#cc79a7", "#009e73", "#e69f00", "#f0e442", "#d55e00"),
        "quiet": "#8a949e",
        "rule": "#2e353d",
        "block-cursor-background": "#24394a",
        "block-cursor-foreground": "#ffffff",
        "block-cursor-text-style": "none",
    },
)
_ANSI_ROLES = {
    **_curves("ansi_bright_black", "ansi_blue", "ansi_magenta", "ansi_cyan", "ansi_yellow", "ansi_green", "ansi_red"),
    "quiet": "ansi_bright_black",
    "rule": "ansi_bright_black",
}


def _ansi() -> Theme:
    base = BUILTIN_THEMES["ansi-dark"]
    return Theme(
        name="lab-ansi",
        ansi=True,
        primary="ansi_blue",
        secondary=base.secondary,
        warning=base.warning,
        error=base.error,
        success=base.success,
        accent="ansi_yellow",
        foreground=base.foreground,
        background=base.background,
        surface=base.surface,
        panel=base.panel,
        boost=base.boost,
        variables={**base.variables, **_ANSI_ROLES},
    )


THEMES: tuple[Theme, ...] = (_DARK, _LIGHT, _CVD, _ansi())
DEFAULT = "lab-dark"
ROLE_DEFAULTS = {**_curves(*["$foreground"] * len(CURVES)), "quiet": "$foreground 60%", "rule": "$foreground 20%"}
"""Colours of the roles in Textual's own themes, which do not know them."""


def next_theme(name: str) -> str:
    """Return the lab's theme that comes after `name`."""
    names = [theme.name for theme in THEMES]
    return names[(names.index(name) + 1) % len(names)] if name in names else names[0]

"""`--ascii`: what the console draws with characters that a terminal may lack, in characters that none lacks."""

from __future__ import annotations

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

_PLAIN = str.maketrans(
    {
        **dict.fromkeys("─━╌╸╺", "-"),
        **dict.fromkeys("│┃▏▎▕▊▌▐", "|"),
        **dict.fromkeys("╭╮╰╯┌┐└┘├┤┬┴┼", "+"),
        **dict.fromkeys("█▇▆▅▄▃▂▁▀", "#"),
        **{"·": "-", "…": "~", "◆": "o", "×": "x", "°": " ", "±": "~", "↑": "^", "↓": "v", "←": "<", "→": ">"},
    }
)


class PlainFilter(LineFilter):
    """Replaces drawing characters; letters of other scripts in prompts and answers stay what they are."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [Segment(segment.text.translate(_PLAIN), segment.style, segment.control) for segment in segments]

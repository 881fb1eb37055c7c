"""Text for people: cleaning what comes from outside, clipping, and the formats of numbers.

Called by every reader (runs, data, logs) at the border and by every view. Standard library only.
"""

from __future__ import annotations

import difflib
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

LINE_LIMIT = 4096

# Escape sequences first (7-bit and 8-bit forms), then single controls. An unterminated string sequence ends at the
# line's end, so that a cut-off OSC cannot swallow the lines after it.
_STRING_SEQUENCE = re.compile(
    r"(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c|(?=\n)|$|(?=\x1b))"
)
_CSI = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?")
_ESCAPE = re.compile(r"\x1b[ -/]*[0-~]?")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Marks that reorder or hide text (Trojan Source, CVE-2021-42574) and lone surrogates, which no terminal can print.
_HIDDEN = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")

_JOINER, _EMOJI_STYLE = "\u200d", "\ufe0f"
_EXTENDING = re.compile("[\u200d\ufe00-\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f\U000e0100-\U000e01ef]")
_REGIONAL = re.compile("[\U0001f1e6-\U0001f1ff]")
_JOINING = re.compile(f"{_EXTENDING.pattern}|{_REGIONAL.pattern}")


def sanitize(text: str, *, newlines: bool = True, limit: int = LINE_LIMIT) -> str:
    """Return `text` without anything that could command a terminal.

    Drops escape sequences (CSI, OSC, DCS ...), C0 and C1 controls, bidirectional and invisible marks; resolves the
    carriage returns of progress bars to the last state of the line; cuts each line at `limit` characters.

    Args:
        newlines: keep line breaks and tabs; otherwise each becomes one space.
    """
    text = text.replace("\r\n", "\n")
    text = _STRING_SEQUENCE.sub("", text)
    text = _CSI.sub("", text)
    text = _ESCAPE.sub("", text)
    if "\r" in text:
        text = "\n".join(_last_state(line) for line in text.split("\n"))
    text = _HIDDEN.sub("", _CONTROL.sub("", text))
    text = "\n".join(line if len(line) <= limit else line[: limit - 1] + "…" for line in text.split("\n"))
    return text if newlines else re.sub(r"[\n\t]+", " ", text)


def _last_state(line: str) -> str:
    return next((part for part in reversed(line.split("\r")) if part), "")


def graphemes(text: str) -> Iterator[str]:
    """Yield what a reader takes for one character: a base with its marks, a joined emoji, a flag.

    The rules of Unicode's annex 29 as far as they change widths in terminals: marks, variation selectors and skin tones
    stay with what is before them, a zero-width joiner also with what is behind it, regional indicators go in pairs.
    """
    start = 0
    for index in range(1, len(text) + 1):
        if index == len(text) or not _belongs(text, start, index):
            yield text[start:index]
            start = index


def display_width(text: str) -> int:
    """Return the number of terminal columns that `text` takes: wide East Asian characters two, marks none.

    An emoji of several characters takes two: joined ones, flags, and those that a variation selector makes colourful.
    """
    if text.isascii():
        return len(text)
    if not _JOINING.search(text):
        return sum(map(_columns, text))
    return sum(map(_cluster_columns, graphemes(text)))


def clip(text: str, width: int) -> str:
    """Cut `text` to `width` terminal columns, with an ellipsis where something was lost."""
    if display_width(text) <= width:
        return text
    if width <= 0:
        return ""
    kept, used = [], 0
    for character in graphemes(text):
        step = display_width(character)
        if used + step > width - 1:
            break
        kept.append(character)
        used += step
    return "".join(kept) + "…"


def _belongs(text: str, start: int, index: int) -> bool:
    """Say whether the character at `index` goes on the cluster that began at `start`."""
    character, before = text[index], text[index - 1]
    if before == _JOINER or _EXTENDING.match(character) or not _columns(character):
        return True
    regional = _REGIONAL.match(character) and _REGIONAL.match(before)
    return bool(regional) and (index - start) % 2 == 1


@lru_cache(maxsize=1 << 14)
def _columns(character: str) -> int:
    mark = unicodedata.category(character) in ("Mn", "Me", "Cf") or unicodedata.combining(character)
    if (mark and character != "\u00ad") or "\u1160" <= character <= "\u11ff":  # jamo join the syllable before them
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _cluster_columns(cluster: str) -> int:
    if _REGIONAL.match(cluster):
        return min(2, len(cluster))
    return 2 if _EMOJI_STYLE in cluster else max(map(_columns, cluster))


def pad(text: str, width: int, *, right: bool = False) -> str:
    """Clip `text` to `width` columns and fill it up with spaces; `right` aligns it right."""
    text = clip(text, width)
    fill = " " * (width - display_width(text))
    return fill + text if right else text + fill


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` for the closest of `options`, or an empty string."""
    close = difflib.get_close_matches(name, list(options), n=1, cutoff=0.6)
    return f" Did you mean '{close[0]}'?" if close else ""


def listed(names: Sequence[str], most: int = 3) -> str:
    """Return up to `most` names one after the other, and how many more there are; semicolons part names with commas."""
    between = "; " if any("," in name for name in names) else ", "
    more = len(names) - most
    return between.join(names[:most]) + (f" and {more} more" if more > 0 else "")


def plural(count: int, noun: str) -> str:
    """Return `1 run`, `2 runs`, `0 runs`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def byte_size(count: float | None) -> str:
    """Return `count` bytes as text in decimal units, as GPU tools and perf tables print them: 1 GB = 1e9 B."""
    if count is None:
        return "-"
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        digits = 0 if unit in ("B", "kB") else 2
        if round(abs(value), digits) < 1000:  # what would be written, so that 999,999 is not 1000 kB
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if unit in ("B", "kB") else f"{value:.2f} {unit}"


def duration(seconds: float | None) -> str:
    """Return `mm:ss` below an hour, `h:mm:ss` from there on; `-` for what is not known."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    minutes, second = divmod(round(max(seconds, 0.0)), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute:02d}:{second:02d}"


def number(value: float | None, digits: int = 3) -> str:
    """Return `value` with `digits` decimals, `-` for None, `nan` and `inf` as they are."""
    if value is None:
        return "-"
    if not math.isfinite(value):
        return str(value)
    return f"{value:,.{digits}f}"


def short_count(value: float | None) -> str:
    """Return a count for narrow places: 950, 41.2k, 1.3M."""
    if value is None or not math.isfinite(value):
        return "-"
    for limit, unit, digits in ((1e9, "G", 1), (1e6, "M", 1), (1e3, "k", 0)):
        if round(abs(value) / limit * 1000, digits) >= 1000:  # as it would be written in the smaller unit
            return f"{value / limit:.1f}{unit}"
    return f"{value:.0f}"

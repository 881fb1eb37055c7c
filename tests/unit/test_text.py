"""Cleaning text from outside, fitting it to columns, and the formats of numbers."""

from __future__ import annotations

import math

import pytest

from lab.text import (
    byte_size,
    clip,
    did_you_mean,
    display_width,
    duration,
    graphemes,
    listed,
    number,
    pad,
    plural,
    sanitize,
    short_count,
)


@pytest.mark.parametrize(
    ("poison", "clean"),
    [
        ("a\x1b[31mred\x1b[0mb", "aredb"),
        ("a\x9b31mred\x9b0mb", "aredb"),
        ("a\x1b[?1049hb", "ab"),
        ("a\x1b[38;5;1", "a"),
        ("a\x1b]0;title\x07b", "ab"),
        ("a\x1b]0;title\x1b\\b", "ab"),
        ("a\x9d0;title\x9cb", "ab"),
        ("a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\b", "alinkb"),
        ("a\x1bPq#0;2\x1b\\b", "ab"),
        ("a\x90q#0;2\x9cb", "ab"),
        ("a\x1b_apc\x1b\\b\x1b^pm\x1b\\c\x1bXsos\x1b\\d", "abcd"),
        ("a\x1b]52;c;never closed", "a"),
        ("a\x1b]52;c;never closed\nnext line", "a\nnext line"),
        ("a\x1b]0;cut\x1b[31mred", "ared"),
        ("a\x1bcb\x1b(Bc", "abc"),
        ("a\x1b", "a"),
        ("bell\x07 back\x08 nul\x00 del\x7f c1\x85", "bell back nul del c1"),
        ("user\u202e\u2066 safe\u2069 \u200bhidden\ufeff\u200f", "user safe hidden"),
        ("lone \ud800surrogate", "lone surrogate"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("dos\r\nlines\r\n", "dos\nlines\n"),
        ("日本 é 🙂", "日本 é 🙂"),
    ],
)
def test_poison_is_dropped_and_text_stays(poison: str, clean: str) -> None:
    assert sanitize(poison) == clean


@pytest.mark.parametrize("opened", ["\x1b", "\x9b", "\x9d", "\x90", "\x1b[", "\x1b]", "\x1bP", "\x1b\x1b"])
@pytest.mark.parametrize("inner", ["\x1b[1m", "\x1b]0;x\x07", "\x9b1m", "\x9d0;x\x9c", "\u202e", "\r"])
def test_no_nesting_of_sequences_leaves_a_control_behind(opened: str, inner: str) -> None:
    cleaned = sanitize(f"a{opened}{inner}[31m]0;t\x07\x1b\\b{inner}{opened}")
    assert all(character.isprintable() for character in cleaned), ascii(cleaned)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("10%\r50%\r100%", "100%"),
        ("10%\r50%\r", "50%"),
        ("before\n10%\r\x1b[K99%\nafter", "before\n99%\nafter"),
        ("\r", ""),
    ],
)
def test_progress_bars_end_in_their_last_state(text: str, shown: str) -> None:
    assert sanitize(text) == shown


def test_each_long_line_is_cut_with_an_ellipsis() -> None:
    assert sanitize("x" * 5 + "\n" + "y" * 6, limit=5) == "xxxxx\nyyyy…"
    assert len(sanitize("x" * 100_000)) == 4096


def test_without_newlines_breaks_become_one_space() -> None:
    assert sanitize("a\n\n\tb\tc", newlines=False) == "a b c"


FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
HEART, THUMB, FLAG = "\u2764\ufe0f", "\U0001f44d\U0001f3fd", "\U0001f1e9\U0001f1ea"


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("", 0),
        ("abc", 3),
        ("日本", 4),
        ("e\u0301", 1),
        ("Ａ", 2),
        ("ab日", 4),
        (FAMILY, 2),
        (f"a{FAMILY}b", 4),
        (HEART, 2),
        ("\u2764", 1),
        ("\u2764\ufe0e", 1),
        (THUMB, 2),
        (FLAG, 2),
        (FLAG * 2, 4),
        ("1\ufe0f\u20e3", 2),
        ("soft\u00adhyphen", 11),
        ("각", 2),
        ("\u1100\u1161\u11a8", 2),
        ("\u0928\u200d", 1),
    ],
)
def test_width_counts_columns(text: str, width: int) -> None:
    assert display_width(text) == width


def test_graphemes_are_what_a_reader_takes_for_characters() -> None:
    parts = ["a", "e\u0301", FAMILY, " ", HEART, FLAG, FLAG, "\U0001f1e9", "x"]
    assert list(graphemes("".join(parts))) == parts
    assert list(graphemes("")) == []


def test_no_character_is_cut_in_half() -> None:
    assert clip(FAMILY * 3, 5) == FAMILY * 2 + "…"
    assert clip(FLAG * 3, 4) == FLAG + "…"
    assert clip(HEART * 3, 4) == HEART + "…"


@pytest.mark.parametrize(
    ("text", "width", "clipped"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("日本語", 6, "日本語"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日…"),
        ("日本", 2, "…"),
        ("abc", 1, "…"),
        ("abc", 0, ""),
        ("abc", -1, ""),
    ],
)
def test_clip_never_splits_a_wide_character(text: str, width: int, clipped: str) -> None:
    assert clip(text, width) == clipped
    assert display_width(clip(text, width)) <= max(width, 0)


@pytest.mark.parametrize("text", ["", "a", "日本語", "ab日本", "e\u0301e\u0301", "long enough to be cut"])
@pytest.mark.parametrize("width", [0, 1, 2, 4, 5])
def test_pad_fills_exactly(text: str, width: int) -> None:
    assert display_width(pad(text, width)) == width
    assert display_width(pad(text, width, right=True)) == width


def test_pad_aligns_left_and_right() -> None:
    assert pad("日", 4) == "日  "
    assert pad("7", 4, right=True) == "   7"


def test_closest_name_is_offered_and_a_far_one_is_not() -> None:
    assert did_you_mean("lerning_rate", ["learning_rate", "rank"]) == " Did you mean 'learning_rate'?"
    assert did_you_mean("zzz", ["learning_rate", "rank"]) == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (math.nan, "-"),
        (math.inf, "-"),
        (0, "00:00"),
        (-3, "00:00"),
        (59.4, "00:59"),
        (59.6, "01:00"),
        (3599.6, "1:00:00"),
        (90061, "25:01:01"),
    ],
)
def test_duration(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "-"),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1_500_000, "1.50 MB"),
        (80e9, "80.00 GB"),
        (2e15, "2000.00 TB"),
        (-2e6, "-2.00 MB"),
        (999_499, "999 kB"),
        (999_999, "1.00 MB"),
        (999_994_999, "999.99 MB"),
        (999_999_999, "1.00 GB"),
        (999_999_999_999, "1.00 TB"),
    ],
)
def test_byte_size_is_decimal(count: float | None, text: str) -> None:
    assert byte_size(count) == text


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (None, 3, "-"),
        (math.nan, 3, "nan"),
        (-math.inf, 3, "-inf"),
        (1234.5678, 2, "1,234.57"),
        (0.0, 3, "0.000"),
        (7, 0, "7"),
    ],
)
def test_number(value: float | None, digits: int, text: str) -> None:
    assert number(value, digits) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (math.inf, "-"),
        (950, "950"),
        (41_200, "41.2k"),
        (1.3e6, "1.3M"),
        (2e9, "2.0G"),
        (999_999, "1.0M"),
        (999_949, "999.9k"),
        (999.7, "1.0k"),
        (999.4, "999"),
        (-999_999, "-1.0M"),
    ],
)
def test_short_count(value: float | None, text: str) -> None:
    assert short_count(value) == text


@pytest.mark.parametrize(("count", "text"), [(0, "0 runs"), (1, "1 run"), (2000, "2,000 runs")])
def test_plural(count: int, text: str) -> None:
    assert plural(count, "run") == text


@pytest.mark.parametrize(
    ("names", "line"),
    [
        ([], ""),
        (["a", "b", "c"], "a, b, c"),
        (["a", "b", "c", "d", "e"], "a, b, c and 2 more"),
        (["LoRA, r=8", "full"], "LoRA, r=8; full"),
    ],
)
def test_names_one_after_the_other(names: list[str], line: str) -> None:
    assert listed(names) == line

"""Lines, tables and folded text: exact widths, whatever the letters."""

from __future__ import annotations

import pytest

from lab.console.answers import marked_words
from lab.console.widgets.frame import action_at, key_links, length, tab_links, typing_links
from lab.console.widgets.lines import clipped
from lab.console.widgets.parts import Part, fit, lay, width_of
from lab.console.widgets.table import GAP, Column, cell, layout
from lab.console.widgets.wide import furthest, in_sight, without
from lab.console.widgets.wrap import wrap
from lab.text import display_width

TEXTS = ["", "short", "a longer text with words", "日本語のテキスト", "x" * 50, "é" * 7, "two\nlines here", "\ttab"]


def plain(line: list[Part]) -> str:
    return "".join(text for text, _ in line)


@pytest.mark.parametrize("width", [0, 1, 5, 20, 61])
@pytest.mark.parametrize("text", TEXTS[:6])
def test_a_line_has_exactly_its_width(text: str, width: int) -> None:
    for right in ([], [("end", "")]):
        assert width_of(fit([(text, "")], right, width)) == max(width, 0)
        assert width_of(fit([(text, "")], right, width, "─")) == max(width, 0)


@pytest.mark.parametrize("width", [2, 3, 8, 20, 100])
@pytest.mark.parametrize("text", TEXTS)
def test_folding_keeps_every_letter_and_no_line_is_too_wide(text: str, width: int) -> None:
    half = len(text) // 2
    lines = wrap([(text[:half], "a"), (text[half:], "b")], width)
    assert all(width_of(line) <= width for line in lines)
    assert "".join(plain(line) for line in lines).replace(" ", "") == "".join(text.split())


def test_folding_breaks_between_words_even_where_styles_change() -> None:
    parts = [('one "', ""), ("two", "bold"), ('", three', "")]
    assert [plain(line) for line in wrap(parts, 7)] == ["one ", '"two", ', "three"]
    assert [plain(line) for line in wrap([("abcdefghij", "")], 4)] == ["abcd", "efgh", "ij"]


def test_facts_stand_side_by_side_or_below_each_other() -> None:
    facts = [("loss", "1.417", ""), ("lr", "1e-4", ""), ("memory", "1.3 GB", "")]
    assert [plain(line) for line in lay(facts, 30, 1)] == ["loss 1.417   lr 1e-4"]
    assert [plain(line) for line in lay(facts, 30, 2)] == ["loss 1.417   lr 1e-4", "memory 1.3 GB"]
    assert [plain(line) for line in lay(facts, 30, 5)] == ["loss    1.417", "lr      1e-4", "memory  1.3 GB"]


COLUMNS = (
    Column("a", "a", 3),
    Column("b", "b", 10, flexible=True),
    Column("c", "c", 6, rank=1),
    Column("d", "d", 6, rank=2),
)


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (60, [(0, 3), (1, 39), (2, 6), (3, 6)]),
        (31, [(0, 3), (1, 10), (2, 6), (3, 6)]),
        (30, [(0, 3), (1, 17), (2, 6)]),
        (20, [(0, 3), (1, 15)]),
        (5, [(0, 3), (1, 1)]),
    ],
)
def test_columns_without_room_are_left_out(width: int, expected: list[tuple[int, int]]) -> None:
    found = layout(COLUMNS, width)
    assert found == expected
    if width >= 20:
        assert sum(w for _, w in found) + GAP * (len(found) - 1) == width


WIDE = [Column("name", "run", 10, flexible=True), *(Column(str(n), str(n), 6, rank=n + 1) for n in range(5))]


@pytest.mark.parametrize(
    ("width", "first", "seen", "last"),
    [(50, 0, 5, 0), (49, 0, 4, 1), (26, 0, 2, 3), (26, 3, 2, 3), (26, 4, 1, 3), (9, 0, 0, 4)],
)
def test_columns_are_moved_through(width: int, first: int, seen: int, last: int) -> None:
    assert in_sight(WIDE, 1, first, width) == seen
    assert furthest(WIDE, 1, width) == last
    assert [column.name for column in without(WIDE, 1, first)] == ["name", *map(str, range(first, 5))]


@pytest.mark.parametrize("right", [False, True])
def test_cells_fill_their_width(right: bool) -> None:
    parts: list[Part] = [("日本", "a"), ("語 and more", "b")]
    for width in (1, 4, 7, 30):
        assert width_of(cell(parts, width, right=right)) == width
        assert width_of(cell(parts[:1], width, right=right)) == width
        assert width_of(clipped(parts, width)) <= width


@pytest.mark.parametrize("width", [20, 58, 78, 118])
def test_tabs_and_keys_never_overflow_where_pages_have_room(width: int) -> None:
    links = tab_links("live", ("LoRA Lab", "bold"), (("1 run live", ""),), width)
    assert length(links) <= max(width, 26) + 2  # the last gap is cut
    keys = key_links("live", width, readonly=False)
    assert length(keys) <= width + 2
    assert "help" in "".join(text for text, _, _ in keys)


def test_keys_without_effect_leave_their_place_to_others() -> None:
    every, fewer = (
        [text.strip() for text, _, action in key_links("live", 60, readonly=False, idle=idle) if action]
        for idle in ((), ("stop", "resume"))
    )
    assert "stop" in every
    assert "stop" not in fewer
    assert "zoom" not in every
    assert "zoom" in fewer


@pytest.mark.parametrize(("width", "count"), [(5, 0), (10, 1), (23, 1), (24, 2), (80, 2)])
def test_a_line_that_is_typed_into_offers_its_own_keys(width: int, count: int) -> None:
    links = typing_links((("enter", "keep"), ("esc", "put away")), width)
    assert len(links) == 3 * count


@pytest.mark.parametrize("width", [40, 60, 78, 118])
def test_a_notice_is_shown_at_every_width(width: int) -> None:
    links = tab_links("live", ("LoRA Lab", "bold"), (("1 run live", ""),), width, ("read-only", ""))
    text = "".join(text for text, _, _ in links)
    assert "read-only" in text
    assert "3 Live" in text
    assert length(links) == width


def test_a_click_finds_its_action() -> None:
    links = [("ab", "", "one"), ("  ", "", ""), ("cd", "", "two")]
    assert [action_at(links, x) for x in range(7)] == ["one", "one", "", "", "two", "two", ""]


@pytest.mark.parametrize(
    ("text", "reference", "differing"),
    [
        ("the red car", "the blue car", ["red"]),
        ("same", "same", []),
        ('{"a": 1}', '{"a": 2}', ["1"]),
        ("", "anything", []),
        ("all new", "", ["all new"]),
    ],
)
def test_words_that_differ(text: str, reference: str, differing: list[str]) -> None:
    pieces = marked_words(text, reference)
    assert "".join(piece for piece, _ in pieces) == text
    assert [piece.strip() for piece, differs in pieces if differs and piece.strip()] == differing


def test_display_width_is_what_the_terminal_takes() -> None:
    assert display_width("日本") == 4


def test_a_word_that_is_too_long_is_cut_between_what_readers_take_for_characters() -> None:
    family, flag = "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f1f3\U0001f1f4"
    lines = wrap([((family + flag + "e\u0301") * 4, "")], 3)
    pieces = ["".join(text for text, _ in line) for line in lines]
    assert all(display_width(piece) <= 3 for piece in pieces)
    assert "".join(pieces) == (family + flag + "e\u0301") * 4
    assert all(not piece.startswith(("\u200d", "\u0301")) and not piece.endswith("\u200d") for piece in pieces)

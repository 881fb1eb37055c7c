"""The small pure functions of the report: markup, ticks, the Pareto front, spreading, words."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from lab.compare.report.markup import Markup, element, escape, join
from lab.compare.report.pareto import front
from lab.compare.report.plots import spread
from lab.compare.report.ticks import outward, tick_label, ticks
from lab.compare.report.words import LONGEST, differences

# --- markup


def test_text_is_escaped_and_markup_is_not() -> None:
    inner = element("b", "a < b & \"c\" 'd'")
    assert inner == "<b>a &lt; b &amp; &quot;c&quot; &#x27;d&#x27;</b>"
    assert element("p", inner, "<i>") == f"<p>{inner}&lt;i&gt;</p>"
    assert join(["<", Markup("<br>"), ">"], between="&") == "&lt;&amp;<br>&amp;&gt;"
    assert isinstance(join([]), Markup)
    assert escape(escape("&")) == "&amp;"


def test_text_that_came_out_of_markup_is_text_again() -> None:
    assert element("p", Markup("<b>").replace("b", "script")) == "<p>&lt;script&gt;</p>"


@pytest.mark.parametrize(
    ("attributes", "wanted"),
    [
        ({"class_": "a", "data_sort": 3}, '<i class="a" data-sort="3"></i>'),
        ({"title": '"><script>'}, '<i title="&quot;&gt;&lt;script&gt;"></i>'),
        ({"x": 1.25, "y": 3.0, "z": 0.04}, '<i x="1.2" y="3" z="0"></i>'),
        ({"open": True, "hidden": False, "id": None}, "<i open></i>"),
        ({"viewbox": "0 0 1 1"}, '<i viewBox="0 0 1 1"></i>'),
        ({"name": "n"}, '<i name="n"></i>'),
    ],
)
def test_attributes(attributes: dict[str, str | float | bool | None], wanted: str) -> None:
    assert element("i", **attributes) == wanted


def test_void_elements_have_no_end() -> None:
    assert element("meta", charset="utf-8") == '<meta charset="utf-8">'


# --- ticks


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (0.0, 1.0, [0.0, 0.5, 1.0]),
        (0.0, 0.8, [0.0, 0.2, 0.4, 0.6, 0.8]),
        (0.0, 20.0, [0.0, 5.0, 10.0, 15.0, 20.0]),
        (-1.0, 1.0, [-1.0, -0.5, 0.0, 0.5, 1.0]),
        (3.0, 3.0, [3.0]),
        (math.nan, 1.0, []),
    ],
)
def test_ticks_are_round(low: float, high: float, wanted: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(wanted)


def test_outward_holds_both_ends_and_ticks_reach_them() -> None:
    draw = random.Random(1)
    for _ in range(300):
        low = draw.uniform(-10, 10) * 10 ** draw.randint(-4, 6)
        high = low + draw.random() * 10 ** draw.randint(-4, 6)
        ends = outward(low, high)
        slack = 1e-8 * (ends[1] - ends[0])
        assert ends[0] - slack <= low
        assert high <= ends[1] + slack
        assert 2 <= len(ticks(*ends)) <= 12
    assert outward(0.5, 0.5)[0] < 0.5 < outward(0.5, 0.5)[1]
    assert outward(0.0, 0.0) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("value", "step", "wanted"),
    [(0.0, 0.2, "0"), (0.2, 0.2, "0.2"), (0.25, 0.05, "0.25"), (1000.0, 500.0, "1,000"), (20_000.0, 5000.0, "20k")],
)
def test_tick_labels(value: float, step: float, wanted: str) -> None:
    assert tick_label(value, step) == wanted


# --- the Pareto front


@pytest.mark.parametrize(
    ("points", "wanted"),
    [
        ([], []),
        ([(1.0, 1.0)], [0]),
        ([(2.0, 1.0), (1.0, 1.0)], [1]),
        ([(1.0, 1.0), (1.0, 2.0)], [1]),
        ([(3.0, 3.0), (1.0, 1.0), (2.0, 2.0), (2.5, 1.5)], [1, 2, 0]),
        ([(1.0, 1.0), (1.0, 1.0), (2.0, 1.0)], [0, 1]),
    ],
)
def test_front(points: list[tuple[float, float]], wanted: list[int]) -> None:
    assert front(points) == wanted


@pytest.mark.parametrize("higher", [True, False])
def test_front_is_what_its_definition_says(higher: bool) -> None:
    draw, sign = random.Random(3), 1 if higher else -1
    for _ in range(50):
        points = [(float(draw.randrange(6)), float(draw.randrange(6))) for _ in range(12)]
        beaten = {
            i
            for (i, (x, y)), (a, b) in itertools.product(enumerate(points), points)
            if a <= x and sign * b >= sign * y and (a, b) != (x, y)
        }
        assert sorted(front(points, higher_is_better=higher)) == [i for i in range(12) if i not in beaten]


# --- spreading


def test_spread_keeps_order_distance_and_bounds() -> None:
    draw = random.Random(5)
    for count in range(1, 12):
        places = sorted(draw.uniform(0, 100) for _ in range(count))
        moved = spread(places, 7.0, 0.0, 100.0)
        assert len(moved) == count
        assert all(-1e-9 <= place <= 100 + 1e-9 for place in moved)
        assert all(b - a >= 7.0 - 1e-9 for a, b in itertools.pairwise(moved))
    assert spread([50.0, 50.0, 50.0], 10.0, 0.0, 100.0) == [40.0, 50.0, 60.0]
    assert spread([10.0, 90.0], 10.0, 0.0, 100.0) == [10.0, 90.0]
    assert spread([5.0] * 11, 20.0, 0.0, 100.0) == pytest.approx([10.0 * n for n in range(11)])


# --- words


def test_words_of_answer_and_reference_come_back_whole() -> None:
    pieces = differences("the red cat sat", ["the cat sat down"])
    assert pieces is not None
    assert "".join(p.text for p in pieces if p.kind != "missing") == "the red cat sat"
    assert "".join(p.text for p in pieces if p.kind != "added") == "the cat sat down"
    assert "red" in "".join(p.text for p in pieces if p.kind == "added")
    assert "down" in "".join(p.text for p in pieces if p.kind == "missing")


def test_the_nearest_reference_counts() -> None:
    assert differences("Paris", ["London town", "Paris"]) == [("same", "Paris")]


@pytest.mark.parametrize(
    ("answer", "references"),
    [
        ("", ["a"]),
        ("a", []),
        ("one two three", ["entirely other words here"]),
        ("   ", ["a   b"]),
        ("a " * LONGEST, ["a"]),
        ("a", ["a " * LONGEST]),
    ],
)
def test_what_has_little_in_common_is_left_alone(answer: str, references: list[str]) -> None:
    assert differences(answer, references) is None

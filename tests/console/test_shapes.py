"""Curves of every shape are drawn, marked or explained; none of them reaches plotext in a form that it cannot take."""

from __future__ import annotations

import math

import pytest

from lab.console.charts import Chart, Curve, cut, nearest, scaled, step_range, ticks, y_bounds
from lab.console.plot import ASCII, UNICODE, draw, short_number
from lab.series.columns import Columns

NAN, INF = math.nan, math.inf
SPIKE = [1.0] * 500 + [50.0] + [1.0] * 500


def chart(ys: list[float], *, log: bool = False, **fields: object) -> Chart:
    xs = [float(x) for x in range(1, len(ys) + 1)]
    ends = (1.0, max(len(ys), 2.0))
    curve = cut("main", Columns(xs, ys), ends, 40)
    return Chart("loss", "loss", curves=(curve,) if ys else (), x_range=ends, log=log, **fields)  # type: ignore[arg-type]


def text(of: Chart, width: int = 50, height: int = 10) -> list[str]:
    return ["".join(c for c, _ in row) for row in draw(of, width, height)]


SHAPES = {
    "falling": [3.0 - x / 50 for x in range(100)],
    "spike": SPIKE,
    "NaN within": [2.0, NAN, 1.0, 1.5],
    "inf within": [2.0, INF, 1.0, -INF],
    "constant": [1.5] * 20,
    "zero": [0.0] * 20,
    "single point": [1.5],
    "two points": [1.0, 2.0],
    "tiny": [1e-9, 2e-9, 3e-9],
    "huge": [1e300, 2e300],
    "negative": [-3.0, -1.0, -2.0],
}


@pytest.mark.parametrize("log", [False, True], ids=["linear", "log"])
@pytest.mark.parametrize("name", list(SHAPES))
@pytest.mark.parametrize("size", [(50, 10), (20, 4), (12, 3), (160, 40)], ids=str)
def test_every_shape_is_drawn_within_its_box(name: str, log: bool, size: tuple[int, int]) -> None:
    rows = draw(chart(SHAPES[name], log=log), *size)
    assert len(rows) <= size[1]
    assert all(len(row) <= size[0] for row in rows)
    nothing_to_draw = log and name in ("zero", "negative")
    drawn = "".join(c for row in rows for c, role in row if role == "main").strip("\u2800 ")
    assert bool(drawn) != nothing_to_draw


@pytest.mark.parametrize("values", [[], [NAN], [INF, -INF], [NAN, INF]], ids=["empty", "NaN", "inf", "both"])
def test_nothing_finite_is_said_in_words(values: list[float]) -> None:
    of = chart(values, empty="no step yet")
    assert text(of) == (["no step yet"] if not values else ["no finite values yet"])


@pytest.mark.parametrize("width", range(0, 12))
@pytest.mark.parametrize("height", range(0, 7))
def test_no_box_is_too_small(width: int, height: int) -> None:
    rows = draw(chart([1.0, 2.0, 1.0]), width, height)
    assert all(len(row) <= max(width, 0) for row in rows)


def test_a_spike_keeps_its_height() -> None:
    low, high = y_bounds(chart(SPIKE))
    assert high > 50
    assert low == 0.0


def test_values_that_are_not_finite_are_marked_at_their_step() -> None:
    rows = draw(chart([2.0, 2.0, NAN, 2.0, 2.0]), 47, 8)
    marks = [x for x, (_, role) in enumerate(rows[0]) if role == "bad"]
    middle = 7 + 39 // 2
    assert marks
    assert all(abs(x - middle) <= 1 for x in marks)


def test_a_gap_is_not_bridged() -> None:
    ys = [1.0] * 20 + [NAN] * 20 + [1.0] * 20
    row = next(r for r in draw(chart(ys), 67, 6) if any(role == "main" for _, role in r))
    columns = [x - 7 for x, (c, role) in enumerate(row) if role == "main" and c not in " \u2800"]
    assert not any(22 <= x <= 37 for x in columns)
    assert any(x < 20 for x in columns)
    assert any(x > 40 for x in columns)


def test_single_points_limit_and_cursor_stand_where_they_belong() -> None:
    of = chart([1.0] * 100, dots=((50.0, 1.05),), limit=1.05, cursor=25.0)
    roles = {role for row in draw(of, 60, 10) for _, role in row}
    assert {"dot", "limit", "cursor", "main"} <= roles


def test_a_second_turn_of_the_colours_stands_on_its_line() -> None:
    lines = (Curve("main", (1.0, 100.0), (1.0, 1.0)), Curve("main", (1.0, 50.0, 100.0), (2.0, 2.0, NAN), turn=1))
    rows = draw(Chart("loss", "loss", curves=lines, x_range=(1.0, 100.0)), 80, 10)
    marked = [(x, y) for y, row in enumerate(rows) for x, (c, role) in enumerate(row) if (c, role) == ("o", "main")]
    assert len({y for _, y in marked}) == 1
    assert 3 <= len(marked) <= 5
    assert max(x for x, _ in marked) < 7 + 73 // 2  # none where it has no value


def test_plain_glyphs_are_plain() -> None:
    of = chart([1.0, 2.0, NAN, 3.0], dots=((2.0, 2.0),), limit=2.5, cursor=3.0)
    assert all(ord(c) < 128 for row in draw(of, 60, 12, ASCII) for c, _ in row)
    assert any(ord(c) > 128 for row in draw(of, 60, 12, UNICODE) for c, _ in row)


@pytest.mark.parametrize(
    ("low", "high", "count", "expected"),
    [
        (0.0, 10.0, 5, [0, 2, 4, 6, 8, 10]),
        (0.93, 3.4, 4, [1, 2, 3]),
        (0.0, 2.2e-4, 2, [0, 2e-4]),
        (5.0, 5.0, 3, []),
        (0.0, INF, 3, []),
    ],
)
def test_ticks_are_round(low: float, high: float, count: int, expected: list[float]) -> None:
    assert ticks(low, high, count) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1.5, "1.5"), (250.0, "250"), (12_000.0, "12.0k"), (2e-4, "2e-04"), (0.15, "0.15"), (3e9, "3.0G")],
)
def test_tick_labels_fit(value: float, text: str) -> None:
    assert short_number(value) == text
    assert len(text) <= 6


@pytest.mark.parametrize(
    ("last", "total", "share", "expected"),
    [
        (100.0, 400, 1.0, (1.0, 400.0)),
        (100.0, None, 1.0, (1.0, 100.0)),
        (0.0, None, 1.0, (1.0, 2.0)),
        (101.0, 400, 0.25, (76.0, 101.0)),
        (500.0, 400, 1.0, (1.0, 500.0)),
    ],
)
def test_the_x_axis_ends_at_the_plan_or_stays_on_the_tail(
    last: float, total: int | None, share: float, expected: tuple[float, float]
) -> None:
    assert step_range(1.0, last, total, share) == expected


def test_the_value_under_the_cursor_is_the_raw_one() -> None:
    column = Columns([10.0, 20.0, 30.0], [1.0, 50.0, 2.0])
    assert [nearest(column, x) for x in (0, 14, 16, 21, 99)] == [1.0, 1.0, 50.0, 50.0, 2.0]
    assert nearest(Columns(), 5) is None


def test_only_positive_values_have_a_place_on_a_log_axis() -> None:
    assert scaled([100.0, 0.0, -1.0, INF], log=True) == pytest.approx([2.0, NAN, NAN, NAN], nan_ok=True)
    assert not Chart("x", "x", curves=(Curve("main", (1.0,), (0.0,)),), log=True).drawable

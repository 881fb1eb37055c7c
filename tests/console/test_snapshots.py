"""Pictures of every page: three sizes in dark, and the other themes at the size of a plain terminal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lab.console.app import LabApp
from tests.console.conftest import make_app
from tests.console.driving import pressing

SIZES = {"60x20": (60, 20), "80x24": (80, 24), "120x36": (120, 36)}
PAGES = {
    "runs": ["2"],
    "live": ["3"],
    "live-gpu": ["3", "down", "down"],
    "help": ["3", "question_mark"],
}
Compare = Callable[..., bool]


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("size", list(SIZES))
@pytest.mark.parametrize("page", list(PAGES))
def test_pages(app: LabApp, snap_compare: Compare, page: str, size: str, theme: str) -> None:
    keys = [*PAGES[page][:1], *(["t"] if theme == "light" else []), *PAGES[page][1:]]
    assert snap_compare(app, terminal_size=SIZES[size], run_before=pressing(*keys))


@pytest.mark.parametrize("theme", ["cvd", "ansi"])
def test_other_themes(app: LabApp, snap_compare: Compare, theme: str) -> None:
    turns = ["t"] * (2 if theme == "cvd" else 3)
    assert snap_compare(app, terminal_size=(80, 24), run_before=pressing("3", *turns))


def test_plain_characters(home: Path, snap_compare: Compare) -> None:
    app = make_app(home, plain=True)
    assert snap_compare(app, terminal_size=(80, 24), run_before=pressing("3", "left", "left", "left"))


def test_without_colour(home: Path, snap_compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(make_app(home), terminal_size=(80, 24), run_before=pressing("3"))


def test_numbers_alone(app: LabApp, snap_compare: Compare) -> None:
    assert snap_compare(app, terminal_size=(44, 14), run_before=pressing("3"))


def test_an_empty_home(empty_home: Path, snap_compare: Compare) -> None:
    assert snap_compare(make_app(empty_home), terminal_size=(80, 24), run_before=pressing())


def test_reading_values_on_a_log_axis(app: LabApp, snap_compare: Compare) -> None:
    keys = ["3", "y", "z", *["left"] * 6]
    assert snap_compare(app, terminal_size=(120, 36), run_before=pressing(*keys))

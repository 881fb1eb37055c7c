"""The table of keys: nothing in it is double, silent or without effect."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.actions import parse

from lab.console.app import LabApp, make_page
from lab.console.keys import EVERYWHERE, KEYS, PAGES, PANELS, as_markdown, bindings, keys_of
from lab.console.screens.help import help_parts
from lab.console.screens.rating import RatingPanel
from tests.console.conftest import make_app
from tests.console.driving import press, screen_text, settle, type_text


def owner_of(page: str) -> type:
    return RatingPanel if page in PANELS else type(make_page(page))


def test_no_key_means_two_things_on_a_page() -> None:
    for page in (*PAGES, *PANELS):
        keys = [key for entry in keys_of(page) for key in entry.keys.split(",")]
        assert len(keys) == len(set(keys)), page


def test_ids_are_unique_and_help_is_a_sentence() -> None:
    assert len({key.id for key in KEYS}) == len(KEYS)
    for key in KEYS:
        assert key.help.endswith(".")
        assert key.help[0].isupper()


@pytest.mark.parametrize("page", PAGES)
def test_help_names_every_key_of_its_page(page: str) -> None:
    text = "".join(part for part, _ in help_parts(page))
    for key in keys_of(page):
        assert key.id in PAGES or key.help in text
        assert key.id in PAGES or key.shown.split()[0] in text


@pytest.mark.parametrize("page", PAGES)
def test_help_cuts_no_key(page: str) -> None:
    text = "".join(part for part, _ in help_parts(page))
    assert all(f"{key.shown} " in text for key in keys_of(page) if key.id not in PAGES)


def test_every_action_of_the_table_exists() -> None:
    for key in KEYS:
        name = "action_" + key.action.removeprefix("app.").partition("(")[0]
        for owner in [LabApp] if EVERYWHERE in key.pages else map(owner_of, key.pages):
            assert hasattr(owner, name), (key.id, owner)


def test_bindings_carry_ids_for_keymaps() -> None:
    assert {binding.id for binding in bindings("live")} == {k.id for k in KEYS if "live" in k.pages}  # type: ignore[union-attr]


def test_the_readme_table_holds_every_key() -> None:
    text = as_markdown()
    assert all(key.help in text for key in KEYS)


@pytest.mark.parametrize(
    ("keys", "offered", "withheld"),
    [
        ("2", ["enter watch", "x stop", "l log"], ["r resume"]),  # a run in training
        ("2 down", ["r resume"], ["x stop"]),
        ("2 G", ["enter watch"], ["x stop", "r resume"]),
        ("2 slash", ["enter keep it", "esc put it away"], ["x stop", "q leave"]),
        ("2 slash escape", ["x stop", "q leave"], ["keep it"]),
        ("3", ["x stop", "s smooth"], ["r resume", "c chart"]),
        ("3 f", ["c chart"], []),
        ("3 down down down down down down", ["l log", "i why"], ["s smooth", "y log y", "z zoom"]),  # a baseline
        ("4 down", ["space mark", "o sort", "v view"], ["s smooth", "y log y"]),
        ("4 g", ["o sort"], ["space mark"]),  # the floor
        ("4 down v", ["o sort"], ["space mark", "s smooth"]),
        ("4 down v v", ["s smooth", "y log y"], ["space mark", "o sort"]),
        ("5", ["↓ next", "/ search"], ["r rate"]),
        ("7", ["enter write"], ["n new"]),
    ],
)
async def test_only_keys_that_do_something_are_offered(
    app: LabApp, keys: str, offered: list[str], withheld: list[str]
) -> None:
    async with app.run_test(size=(130, 30)) as pilot:
        await settle(pilot)
        await press(pilot, *keys.split())
        footer = screen_text(pilot).splitlines()[-1]
        assert [text for text in offered if text not in footer] == []
        assert [text for text in withheld if text in footer] == []


@pytest.mark.parametrize("page", ["2", "3", "4", "5", "6", "7"])
async def test_where_nothing_is_only_the_keys_of_all_pages_are_offered(empty_home: Path, page: str) -> None:
    app = make_app(empty_home)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, page)
        assert screen_text(pilot).splitlines()[-1].split() == ["?", "help", "^p", "more", "q", "leave"]


@pytest.mark.parametrize(
    ("search", "offered", "withheld"),
    [
        ("mine", ["enter start", "e edit a copy", "v plan", "a all values"], []),
        ("wrong", ["/ search"], ["enter start", "e edit a copy", "v plan", "a all values"]),
        ("no such profile", ["/ search"], ["enter start"]),
    ],
)
async def test_what_a_profile_cannot_do_is_not_offered(
    app: LabApp, profiles: Path, search: str, offered: list[str], withheld: list[str]
) -> None:
    async with app.run_test(size=(130, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "1", "slash")
        await type_text(pilot, search)
        await press(pilot, "enter")
        footer = screen_text(pilot).splitlines()[-1]
        assert [text for text in offered if text not in footer] == []
        assert [text for text in withheld if text in footer] == []


@pytest.mark.parametrize("page", [*PAGES, *PANELS])
async def test_every_key_reaches_its_action(app: LabApp, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[tuple[str, tuple[object, ...]]] = []
    owner = owner_of(page)
    monkeypatch.setattr(RatingPanel, "_open", lambda panel: None)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, str(PAGES.index(page) + 1) if page in PAGES else "5")
        if page in PANELS:
            await app.push_screen(RatingPanel((Path(), Path()), {}))
        wanted = []
        for key in keys_of(page):
            target, name, arguments = parse(key.action)
            kind = LabApp if target == "app" else owner
            note = lambda _, *given, name=name: called.append((name, given))  # noqa: E731
            monkeypatch.setattr(kind, f"action_{name}", note)
            wanted += [(one, (name, arguments)) for one in key.keys.split(",")]
        for one, action in wanted:
            called.clear()
            await pilot.press(one)
            assert called == [action], one

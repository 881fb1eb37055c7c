"""Text from outside stays text: no escape of it reaches the terminal, no markup of it is read, nothing crashes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import atomic
from lab.console.app import LabApp
from lab.console.keys import KEYS, PAGES
from lab.console.screens.chat import ChatPage
from lab.runs.labels import Labels
from tests.console.conftest import make_app
from tests.console.driving import press, settle
from tests.console.terminal import in_terminal
from tests.fixtures.console_runs import START, Plan, hold, write_run
from tests.fixtures.folders import ENVIRONMENT, add_evaluation, answered

POISON = (
    "\x1b]0;PWNED\x07\x1b]52;c;UFdORUQ=\x07\x1b[31337m\x9b31337mA[@click=app.leave]B[/x][/][a=b]\u202eC\r\n\x00D[red"
)
FOLDER = "20261122-0200-\x1b]0;PWNED\x07[@click=app.leave]x[y=z][-7f3a"
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e]")


@pytest.fixture
def poisoned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A living run, one that has failed, and profiles, poisoned wherever text comes from outside."""
    profiles = tmp_path / "profiles"
    profiles.mkdir()
    broken = json.dumps(POISON)
    (profiles / f"{FOLDER[:20]}.toml").write_text(f'extends = "demo-lora"\ndescription = {broken}\n')
    (profiles / "broken.toml").write_text(f"[method]\n{broken} = 1\n")
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "home"
    words = {"profile": POISON, "model": POISON, "detail": POISON, "method": POISON, "alerts": (POISON,) * 3}
    labels = Labels(POISON, (POISON,), POISON, False, POISON, POISON)
    live = write_run(
        home / "runs", Plan(run_id=FOLDER, state="training", done=30, total=60, gpu=True, labels=labels, **words)
    )
    failed = Plan(run_id=FOLDER[:-1] + "b", state="failed", reason=POISON, start=START - 99, summary=_summary())
    dead = write_run(home / "runs", failed)
    rows = answered([POISON] * 4, [POISON] * 4, prompt=[POISON] * 4, id=[POISON + str(n) for n in range(4)])
    for run in (live, dead):
        run.log.write_text(POISON * 5)
        atomic.write_json(run.environment, {**ENVIRONMENT, "gpu": {"name": POISON}})
        add_evaluation(run, rows)
    with live.events.open("a") as file:
        for kind in ("checkpoint", "alert", "phase", POISON):
            record = {"type": kind, "t": START, "step": 30, "attempt": 1, "path": POISON, "text": POISON}
            file.write(json.dumps({**record, "phase": POISON, "detail": POISON}) + "\n")
    handle = hold(live)
    yield home
    os.close(handle)


def _summary() -> dict[str, object]:
    return {"metrics": {POISON: 0.5}, "last_loss": POISON}


def check_clean(app: LabApp) -> None:
    for strip in app.screen._compositor.render_strips():
        for segment in strip:
            if not segment.control:
                assert not CONTROL.search(segment.text), repr(segment.text)


@pytest.mark.parametrize("size", [(60, 20), (120, 36)], ids=str)
async def test_no_page_lets_it_through(poisoned: Path, size: tuple[int, int]) -> None:
    app = make_app(poisoned, readonly=True)
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        assert len(app.snapshot.runs) == 2
        for number in range(1, len(PAGES) + 1):
            await press(pilot, str(number))
            check_clean(app)
            for key in _harmless(app.current_mode):
                await press(pilot, key)
                check_clean(app)
                while len(app.screen_stack) > 1:
                    await press(pilot, "escape")
        assert app.is_running


def _harmless(page: str) -> list[str]:
    return [k.keys.split(",")[0] for k in KEYS if page in k.pages and not k.writes and k.id not in ("open", "filter")]


async def test_a_click_on_poisoned_text_runs_nothing(poisoned: Path) -> None:
    app = make_app(poisoned)
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        for y in range(2, 34, 3):
            for x in (5, 20, 40, 70):
                await pilot.click(offset=(x, y))
                assert app.is_running
            if app.current_mode != "runs":
                await press(pilot, "2")


async def test_the_palette_lists_it_as_text(poisoned: Path) -> None:
    app = make_app(poisoned)
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "ctrl+p", "w", "a", "t", "c", "h")
        for _ in range(30):
            await pilot.pause(0.02)
            check_clean(app)
        assert any("[@click=app.leave]" in s.text for s in app.screen._compositor.render_strips())


async def test_questions_and_forms_show_it_as_text(poisoned: Path) -> None:
    app = make_app(poisoned)
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        for key in ("x", "n", "l"):
            await press(pilot, key)
            assert len(app.screen_stack) == 2, key
            check_clean(app)
            await press(pilot, "escape")
        await press(pilot, "down", "d")
        assert len(app.screen_stack) == 2
        check_clean(app)


async def test_notices_are_plain(poisoned: Path) -> None:
    app = make_app(poisoned)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        app.say(POISON)
        await pilot.pause()
        check_clean(app)
        assert any("[@click=app.leave]B[/x]" in s.text for s in app.screen._compositor.render_strips())


def test_nothing_of_it_reaches_a_real_terminal(poisoned: Path) -> None:
    output = in_terminal(poisoned, keys="2j3lkz?q45jv16")
    assert b"Live" in output
    for sign in (b"PWNED\x07", b"\x1b]0;", b"\x1b]52", b"31337m", b"\xc2\x9b", "\u202e".encode()):
        assert sign not in output, sign
    unknown = set(re.findall(rb"\x1b(?![\[\]>=()7-8P\\c])", output))
    assert not unknown


async def test_the_history_of_a_chat_is_shown_as_text(app: LabApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "7")
        page = app.screen
        assert isinstance(page, ChatPage)
        assert page.row is not None
        conversation = page._begin(page.row)
        for who in ("user", "tuned", POISON):
            conversation.add(who, POISON, tokens=POISON, finish=POISON)
        page._show()
        await settle(pilot)
        check_clean(app)
        assert any("[@click=app.leave]B[/x]" in s.text for s in app.screen._compositor.render_strips())

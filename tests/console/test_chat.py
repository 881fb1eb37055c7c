"""Chat as a person drives it, with a child that knows its answers by heart instead of a model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from lab.console.app import LabApp
from lab.console.screens.chat import ChatPage
from lab.console.talk import Talk
from lab.launching.chat import ChatProcess
from lab.profile.presets import list_presets, load_preset
from lab.runs.chats import Conversation, list_conversations
from lab.runs.paths import RunPaths
from tests.console.conftest import make_app
from tests.console.driving import press, screen_text, settle, type_text, wait_for

CHILD = Path(__file__).parents[1] / "fixtures" / "chat_child.py"
Compare = Any


@pytest.fixture(autouse=True)
def _child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ChatProcess.__init__, "__kwdefaults__", {"command": ("-I", str(CHILD))})


async def opened(pilot: Pilot[None], app: LabApp) -> ChatPage:
    await settle(pilot)
    await press(pilot, "7")
    assert isinstance(app.screen, ChatPage)
    return app.screen


async def ask(pilot: Pilot[None], page: ChatPage, text: str, *, until: str) -> None:
    if not page.has_class("-open"):
        await press(pilot, "enter")
    await type_text(pilot, text)
    await press(pilot, "enter")
    await wait_for(pilot, lambda: until in screen_text(pilot))


def talk_of(page: ChatPage) -> Talk:
    assert page._talk is not None
    return page._talk


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def newest(app: LabApp) -> RunPaths:
    return next(row.run for row in app.snapshot.runs if row.title == "QLoRA")


def begin(page: ChatPage) -> Conversation:
    assert page.row is not None
    return page._begin(page.row)


async def idle(pilot: Pilot[None], page: ChatPage) -> None:
    await wait_for(pilot, lambda: talk_of(page).phase == "ready" and not talk_of(page).busy)
    await pilot.pause()


async def test_tuned_and_base_answer_side_by_side_and_are_kept(app: LabApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        page = await opened(pilot, app)
        assert "Talk to QLoRA" in screen_text(pilot)
        await ask(pilot, page, "Hello there", until="base heard")
        await idle(pilot, page)
        text = screen_text(pilot)
        line = next(line for line in text.splitlines() if "tuned heard" in line)
        assert line.index("tuned heard 1 messages") < line.index("base heard 1 messages")
        assert "8 tokens  16.0 tok/s" in text
        assert "tuned + base on cpu" in text
        kept = Conversation(newest(app), list_conversations(newest(app))[0])
        assert [turn.who for turn in kept.turns] == ["user", "tuned", "base"]
        await ask(pilot, page, "More", until="tuned heard 3")  # each voice knows its own answers alone
        await idle(pilot, page)


async def test_answers_stand_below_each_other_where_it_is_narrow(app: LabApp) -> None:
    async with app.run_test(size=(60, 20)) as pilot:
        page = await opened(pilot, app)
        await ask(pilot, page, "Hello", until="base heard")
        lines = screen_text(pilot).splitlines()
        assert not any("tuned heard" in line and "base heard" in line for line in lines)


async def test_the_tuned_model_can_answer_alone(app: LabApp) -> None:
    async with app.run_test(size=(100, 30)) as pilot:
        page = await opened(pilot, app)
        await press(pilot, "b")
        await ask(pilot, page, "Hello", until="tuned heard")
        await idle(pilot, page)
        assert "base" not in screen_text(pilot).replace("base too", "")


@pytest.mark.parametrize("key", ["escape", "ctrl+c"])
async def test_an_answer_is_ended_and_nobody_else_goes_on_with_it(app: LabApp, key: str) -> None:
    async with app.run_test(size=(100, 30)) as pilot:
        page = await opened(pilot, app)
        await ask(pilot, page, "slow", until="and on and on")
        assert "answering, esc ends it" in screen_text(pilot)
        await press(pilot, key)
        await idle(pilot, page)
        assert "ended by you" in screen_text(pilot)
        kept = Conversation(newest(app), list_conversations(newest(app))[0])
        assert [turn.who for turn in kept.turns] == ["user", "tuned"]
        await press(pilot, "escape")
        assert not page.has_class("-open")


async def test_a_second_question_waits_for_the_first_answer(app: LabApp, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(app, "say", lambda text, failed=False: said.append(text))
    async with app.run_test(size=(100, 30)) as pilot:
        page = await opened(pilot, app)
        await ask(pilot, page, "slow", until="and on and on")
        await type_text(pilot, "two")
        await press(pilot, "enter")
        assert said == ["Wait for the answer, or end it with esc."]
        assert "two" in screen_text(pilot)
        await press(pilot, "escape")
        await idle(pilot, page)


async def test_leaving_ends_the_child_at_once(app: LabApp) -> None:
    async with app.run_test(size=(100, 30)) as pilot:
        page = await opened(pilot, app)
        await ask(pilot, page, "slow", until="and on and on")
        process = talk_of(page)._process
        assert process is not None
        pid = process.pid
        await press(pilot, "escape")
        await idle(pilot, page)
        await press(pilot, "escape", "q")
    assert is_gone(pid)


async def test_a_model_that_never_loads_blocks_nothing(app: LabApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_CHILD", "never")
    monkeypatch.setattr(ChatProcess.__init__, "__kwdefaults__", {"command": (str(CHILD),)})
    async with app.run_test(size=(100, 30)) as pilot:
        page = await opened(pilot, app)
        await press(pilot, "enter")
        await wait_for(pilot, lambda: "loading weights" in screen_text(pilot))
        process = talk_of(page)._process
        assert process is not None
        await press(pilot, "escape", "x")
        await wait_for(pilot, lambda: is_gone(process.pid))
        assert "enter  load the model" in screen_text(pilot)


async def test_a_child_that_dies_says_why_and_is_started_anew(app: LabApp) -> None:
    async with app.run_test(size=(100, 30)) as pilot:
        page = await opened(pilot, app)
        await ask(pilot, page, "die", until="process ended")
        assert "out of memory" in screen_text(pilot)
        assert "[@click=app.leave]" in screen_text(pilot)  # as text
        await ask(pilot, page, "Hello", until="tuned heard")
        await idle(pilot, page)


async def test_what_cannot_be_answered_is_said_and_the_model_stays(app: LabApp) -> None:
    async with app.run_test(size=(100, 30)) as pilot:
        page = await opened(pilot, app)
        await ask(pilot, page, "refuse", until="is too long. Ask less.")
        await idle(pilot, page)
        await ask(pilot, page, "Hello", until="tuned heard")
        await idle(pilot, page)


async def test_system_prompt_and_sampling_reach_the_model(app: LabApp) -> None:
    async with app.run_test(size=(100, 36)) as pilot:
        page = await opened(pilot, app)
        await press(pilot, "y")
        await type_text(pilot, "Be brief")
        await press(pilot, "enter", "s")
        await press(pilot, *["backspace"] * 3)
        await type_text(pilot, "x")
        assert "temperature is no number" in screen_text(pilot)
        await press(pilot, "backspace")
        await type_text(pilot, "9")
        assert "less than or equal to 5" in screen_text(pilot)
        await press(pilot, "backspace")
        await type_text(pilot, "0.7")
        await press(pilot, *["enter"] * 5)  # through the lines below
        await ask(pilot, page, "Hello", until="base heard 2 messages at 0.7")
        assert "Be brief" in screen_text(pilot)
        await idle(pilot, page)


async def test_a_preset_is_picked_filled_in_and_asked(app: LabApp) -> None:
    place = [name for name, _ in list_presets()].index("quiz")
    async with app.run_test(size=(100, 36)) as pilot:
        page = await opened(pilot, app)
        await press(pilot, "a")
        assert "Quiz generator" in screen_text(pilot)
        await press(pilot, *["down"] * place, "enter")
        assert "What is the quiz about?" in screen_text(pilot)
        assert "topic is empty" in screen_text(pilot)
        await type_text(pilot, "fjords")
        await press(pilot, "down", "down", "end", "x")
        assert "none of its choices" in screen_text(pilot)
        await press(pilot, "backspace", "enter", "enter")
        await wait_for(pilot, lambda: len(list_conversations(newest(app))) == 1)
        await idle(pilot, page)
        kept = Conversation(newest(app), list_conversations(newest(app))[0]).turns
        assert kept[0].text == load_preset("quiz").system
        assert "multiple-choice questions on this topic: fjords" in kept[1].text


async def test_earlier_conversations_are_listed_and_taken_up(app: LabApp) -> None:
    async with app.run_test(size=(100, 30)) as pilot:
        page = await opened(pilot, app)
        run = newest(app)
        for name, text in (("20261122-000000-aaaa", "first of all"), ("20261122-000001-bbbb", "later on")):
            Conversation(run, name).add("user", text)
        app.ask()
        page.show(app.snapshot)
        await settle(pilot)
        assert "2 earlier conversations" in screen_text(pilot)
        await press(pilot, "o", "down", "enter")
        assert "first of all" in screen_text(pilot)
        await press(pilot, "c")
        assert app.clipboard == "first of all"
        await press(pilot, "n")
        assert "first of all" not in screen_text(pilot)


async def test_another_run_can_be_talked_to(app: LabApp) -> None:
    async with app.run_test(size=(100, 30)) as pilot:
        page = await opened(pilot, app)
        await press(pilot, "r")
        await press(pilot, "down", "enter")
        assert page.row is not None
        assert page.row.title == "LoRA"
        assert "Talk to LoRA" in screen_text(pilot)


async def test_long_conversations_are_scrolled(app: LabApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        page = await opened(pilot, app)
        conversation = begin(page)
        for number in range(30):
            conversation.add("user", f"question number {number}")
        page._show()
        await settle(pilot)
        assert "question number 29" in screen_text(pilot)
        await press(pilot, "pageup")
        assert "question number 29" not in screen_text(pilot)
        await press(pilot, "down")
        assert "question number 29" in screen_text(pilot)


async def test_read_only_refuses_it(home: Path) -> None:
    app = make_app(home, readonly=True)
    async with app.run_test(size=(100, 30)) as pilot:
        page = await opened(pilot, app)
        for key in ("enter", "i", "a", "s", "y"):
            await press(pilot, key)
            assert page._talk is None
            assert len(app.screen_stack) == 1
        assert "read-only" in screen_text(pilot)
    assert not list(home.rglob("chats"))


async def test_no_run_to_talk_to_is_explained(empty_home: Path) -> None:
    app = make_app(empty_home)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app)
        assert "Nobody to talk to yet" in screen_text(pilot)
        await press(pilot, "enter", "o", "r", "c", "x", "b", "n")
        assert len(app.screen_stack) == 1


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 36)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_chat_looks(app: LabApp, snap_compare: Compare, size: tuple[int, int]) -> None:
    async def talk(pilot: Pilot[None]) -> None:
        page = await opened(pilot, app)
        await ask(pilot, page, "Which?", until="base heard")
        await idle(pilot, page)

    assert snap_compare(app, terminal_size=size, run_before=talk)

"""Driving the console in tests: press keys, wait until the feed has answered, read what is on the screen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from textual.pilot import Pilot

from lab.console.app import LabApp


async def settle(pilot: Pilot[None]) -> None:
    """Wait until everything that was asked for has been read and shown."""
    app = pilot.app
    assert isinstance(app, LabApp)
    await pilot.pause()
    while app.reading:
        await app.workers.wait_for_complete()
        await pilot.pause()


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Press keys one by one, each once the one before has had its effect."""
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


def pressing(*keys: str) -> Callable[[Pilot[None]], Awaitable[None]]:
    """Return what `snap_compare` runs before its picture."""

    async def run(pilot: Pilot[None]) -> None:
        await settle(pilot)
        await press(pilot, *keys)

    return run


def screen_text(pilot: Pilot[None]) -> str:
    """Return what stands on the screen, line by line, without colours."""
    screen = pilot.app.screen
    strips = screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips)


async def type_text(pilot: Pilot[None], text: str) -> None:
    """Type into the line that has the focus."""
    for character in text:
        await pilot.press({" ": "space"}.get(character, character))
    await settle(pilot)


async def wait_for(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    """Wait until something is so that threads and children bring about."""
    for _ in range(500):
        if condition():
            return
        await pilot.pause(0.01)
    raise AssertionError("it never came")


def table_text(pilot: Pilot[None]) -> list[str]:
    return screen_text(pilot).splitlines()

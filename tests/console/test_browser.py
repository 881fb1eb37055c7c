"""The console in a browser: who is let in, and that a tab is a console."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
import typer
from aiohttp.test_utils import TestClient, TestServer

from lab.cli import serve
from lab.console.browser import ConsoleServer
from lab.errors import LabError

Client = TestClient  # type: ignore[type-arg]


@pytest.fixture
async def served() -> AsyncIterator[tuple[ConsoleServer, Client]]:
    told: list[str] = []
    server = ConsoleServer(0, told.append)
    async with TestClient(TestServer(await server._make_app()), cookie_jar=aiohttp.CookieJar(unsafe=True)) as client:
        assert server.address.startswith(f"http://127.0.0.1:{server.port}/?token=")
        yield server, client
    assert told == [], "this one is served elsewhere: its own port never answered"


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/", {}),
        ("/ws", {}),
        ("/static/js/textual.js", {}),
        ("/?token=wrong", {}),
        ("/", {"Host": "lab.example"}),
        ("/", {"Cookie": "lab_console_8090=old"}),
    ],
)
async def test_without_the_token_nobody_enters(
    served: tuple[ConsoleServer, Client], path: str, headers: dict[str, str]
) -> None:
    response = await served[1].get(path, headers=headers)
    assert response.status == 403


async def test_pages_of_other_servers_are_kept_out(served: tuple[ConsoleServer, Client]) -> None:
    server, client = served
    await client.get(f"/?token={server.token}")
    assert (await client.get("/")).status == 200
    assert (await client.get("/ws", headers={"Origin": "http://127.0.0.1:1"})).status == 403
    assert (await client.get("/", headers={"Host": "lab.example"})).status == 403


async def test_the_page_asks_at_the_address_it_came_from(served: tuple[ConsoleServer, Client]) -> None:
    server, client = served
    await client.get(f"/?token={server.token}")
    text = await (await client.get("/", headers={"Host": "localhost:9999"})).text()
    assert "ws://localhost:9999/ws" in text
    assert server.token not in text


async def test_a_tab_is_a_console_that_only_looks(tmp_path: Path) -> None:
    """The command itself: its tab draws, `q` in it ends the tab, a signal ends the server."""
    command = [sys.executable, "-P", "-m", "lab", "serve", "--port", "0"]
    server = subprocess.Popen(
        command, env=os.environ | {"LAB_HOME": str(tmp_path)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with server:
        assert server.stderr is not None
        try:
            (address,) = re.findall(r"http://\S+", server.stderr.readline())
            async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
                assert (await session.get(address)).status == 200
                async with session.ws_connect(address.partition("?")[0] + "ws?width=120&height=36") as tab:
                    assert "read-only" in await read_until(tab, lambda text: "read-only" in text)
                    await tab.send_json(["stdin", "q"])
                    await read_until(tab, lambda text: False)
        finally:
            server.terminate()  # as Ctrl-C would, which a shell in the background has its children ignore
        said = server.stderr.read()
    assert server.returncode == 0
    assert said.startswith("From another machine: ssh -N -L")
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


async def read_until(tab: aiohttp.ClientWebSocketResponse, enough: Callable[[str], bool]) -> str:
    """Return what the tab drew, without its colours, once that is enough, or when the console has ended."""
    drawn = b""
    async for message in tab:
        drawn += message.data if isinstance(message.data, bytes) else message.data.encode()
        text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", drawn.decode(errors="replace"))
        if enough(text):
            return text
    return drawn.decode(errors="replace")


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(LabError, match=f"Port {port} cannot be used"):
            ConsoleServer(port, lambda line: None)


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "find_spec", lambda name: None)
    command = typer.Typer()
    command.command()(serve.serve)
    with pytest.raises(LabError, match="textual-serve"):
        command(args=[], standalone_mode=False)

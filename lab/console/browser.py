"""The console in a browser, read-only: `lab serve`. Each tab is a console of its own, in a process of its own.

textual-serve carries what a console draws to the page and keys back. What this adds: a token, because every account of
a shared host can reach its loopback interface; and addresses taken from the request, because whoever comes through a
tunnel may have given it another port.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import shlex
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from textual_serve.server import Server

from lab.console.app import LabApp
from lab.errors import LabError
from lab.home import lab_home
from lab.text import sanitize

POLL_SECONDS = 0.02
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ConsoleServer(Server):
    """Serves the console on 127.0.0.1 to whoever has the token.

    Args:
        port: 0 takes any free one.
        say: is told where the console is once it can be reached.

    Raises:
        LabError: the port is taken.
    """

    def __init__(self, port: int, say: Callable[[str], None]) -> None:
        command = [sys.executable, "-P", "-m", "lab.console.browser"]
        super().__init__(shlex.join(command), host="127.0.0.1", port=_free(port), title="LoRA Lab")
        self.token = secrets.token_urlsafe(16)
        self._say = say

    @property
    def address(self) -> str:
        """Where a browser on this host finds the console."""
        return f"{self.public_url}/?token={self.token}"

    def initialize_logging(self) -> None:
        """Keep quiet: what is asked for stands in no log."""

    async def on_startup(self, app: web.Application) -> None:
        self._announcing = asyncio.create_task(self._announce())

    async def on_shutdown(self, app: web.Application) -> None:
        await super().on_shutdown(app)
        self._announcing.cancel()

    async def _announce(self) -> None:
        """Say where the console is as soon as the port answers, which is after the startup."""
        while not await _answers(self.port):
            await asyncio.sleep(POLL_SECONDS)
        self._say(
            f"The console is at {self.address} (read-only; Ctrl-C ends it).\n"
            f"From another machine: ssh -N -L {self.port}:127.0.0.1:{self.port} {sanitize(socket.gethostname())}"
        )

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(self._guard)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let in who has the token, and no page of another server: a browser would send it the cookie's value along."""
        own = request.headers.get("Origin", f"http://{request.host}") == f"http://{request.host}"
        if not own or request.host.rsplit(":", 1)[0] not in LOOPBACK:
            raise web.HTTPForbidden(text="This console answers its own pages on the loopback interface alone.\n")
        cookie = f"lab_console_{self.port}"  # cookies know hosts, not ports
        if self._is_token(request.query.get("token", "")):
            entered = web.HTTPFound(request.path)  # out of the address line, and of what the browser remembers
            entered.set_cookie(cookie, self.token, httponly=True, samesite="Strict")
            raise entered
        if not self._is_token(request.cookies.get(cookie, "")):
            raise web.HTTPForbidden(text="The token is missing or old: open the address that `lab serve` printed.\n")
        return await handler(request)

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.token.encode())

    async def handle_index(self, request: web.Request) -> Any:
        self.public_url = f"http://{request.host}"  # the page's own address, tunnel and all; nothing awaits in between
        return await super().handle_index(request)


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return False
    writer.close()
    return True


def _free(port: int) -> int:
    """Return `port`, or a free one for 0. Raises LabError where it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise LabError(f"Port {port} cannot be used ({error.strerror}).", "Choose another with --port.") from error
        return int(probe.getsockname()[1])


def main() -> None:
    """Be the console of one tab: `ConsoleServer` starts this."""
    LabApp(lab_home(), readonly=True).run()


if __name__ == "__main__":
    main()

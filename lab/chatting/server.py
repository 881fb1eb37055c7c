"""The OpenAI chat API over one run's model, on the loopback interface. `lab serve-model` starts it.

GET /v1/models, POST /v1/chat/completions (also streamed). Every request carries the token; the host must be loopback,
so that no page in a browser can be talked into asking. One answer at a time: there is one model.
"""

from __future__ import annotations

import argparse
import contextlib
import hmac
import json
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lab.chatting.child import add_arguments, open_voice
from lab.chatting.completion import Asked, Speaker, read_request
from lab.chatting.voice import BASE, Reply, Voice
from lab.errors import LabError, NotFoundError

TOKEN = "LAB_SERVE_TOKEN"
LONGEST_BODY = 4 << 20
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class ModelServer(ThreadingHTTPServer):
    """Serves `voice` under the name `name`, and its untouched base under `name`:base where there is one."""

    daemon_threads = True

    def __init__(self, port: int, voice: Voice, name: str, token: str) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.voice, self.token = voice, token
        self.models = {name if who == voice.voices[0] else f"{name}:{BASE}": who for who in voice.voices}
        self.turn = threading.Lock()
        self.begun = int(time.time())


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: ModelServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if not self._allowed():
            return
        if self.path.rstrip("/") != "/v1/models":
            self._fail(404, f"There is nothing at {self.path}.")
            return
        known = [
            {"id": name, "object": "model", "created": self.server.begun, "owned_by": "lora-lab"}
            for name in self.server.models
        ]
        self._send(200, {"object": "list", "data": known})

    def do_POST(self) -> None:
        if not self._allowed():
            return
        if self.path.rstrip("/") != "/v1/chat/completions":
            self._fail(404, f"There is nothing at {self.path}.")
            return
        try:
            asked = read_request(self._body(), self.server.models)
            (self._stream if asked.stream else self._whole)(asked)
        except LabError as error:
            self._fail(404 if isinstance(error, NotFoundError) else 400, str(error))

    def _whole(self, asked: Asked) -> None:
        parts: list[str] = []
        reply = self._reply(asked, parts.append)
        self._send(200, asked.whole("".join(parts), reply))

    def _stream(self, asked: Asked) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            self._event(asked.chunk({"role": "assistant", "content": ""}))
            reply = self._reply(asked, lambda text: self._event(asked.chunk({"content": text})))
            self._event(asked.chunk({}, finish=reply.finish))
            if asked.include_usage:
                self._event(asked.usage_chunk(reply))
            self.wfile.write(b"data: [DONE]\n\n")
        except LabError as error:
            self._event({"error": {"message": str(error), "type": "invalid_request_error"}})
        except OSError:  # the one who asked has gone
            return

    def _reply(self, asked: Asked, piece: Callable[[str], None]) -> Reply:
        with self.server.turn:
            speaker = Speaker(asked.stops, piece)
            reply = self.server.voice.reply(asked.messages, asked.sampling, asked.who, speaker.take, speaker.done)
            speaker.rest()
            return speaker.ended(reply)

    def _event(self, record: dict[str, Any]) -> None:
        self.wfile.write(b"data: " + json.dumps(record).encode() + b"\n\n")
        self.wfile.flush()

    def _body(self) -> bytes:
        return self.rfile.read(self._length())

    def _length(self) -> int:
        """Return how long the body says it is; one that says no length of it has none that could be read."""
        told = self.headers.get("Content-Length") or ""
        return int(told) if told.isascii() and told.isdecimal() else 0

    def _allowed(self) -> bool:
        """Refuse who has no token, and names of this host that are not loopback's."""
        host = (self.headers.get("Host") or "").rsplit(":", 1)[0]
        given = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if host not in LOOPBACK:
            self._fail(403, "This server answers on the loopback interface alone.")
        elif not hmac.compare_digest(given.encode(), self.server.token.encode()):
            self._fail(401, "The token is missing or wrong: send it as a bearer token.")
        elif self._length() > LONGEST_BODY:
            self._fail(413, "The request is too large.")
        else:
            return True
        return False

    def _fail(self, status: int, message: str) -> None:
        self.close_connection = True
        self._send(status, {"error": {"message": message, "type": "invalid_request_error", "code": None}})

    def _send(self, status: int, record: dict[str, Any]) -> None:
        body = json.dumps(record).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: requests hold what people wrote."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="lab.chatting.server", description=__doc__)
    add_arguments(parser)
    parser.add_argument("--port", type=int, default=8080)
    options = parser.parse_args(arguments)
    token = os.environ.get(TOKEN) or secrets.token_urlsafe(24)
    try:
        voice = open_voice(options, lambda record: _say(record.get("progress", "")))
        server = ModelServer(options.port, voice, options.folder.name, token)
    except LabError as error:
        _say(f"lab: {error.problem}\n     {error.remedy}")
        return 1
    except OSError as error:
        _say(f"lab: Port {options.port} cannot be used ({error.strerror}).\n     Choose another: --port.")
        return 1
    _say(f"Serving {voice.model} on {voice.device} as {', '.join(server.models)}.")
    _say(f"  base URL  http://127.0.0.1:{server.server_port}/v1\n  API key   {token}\nCtrl-C ends it.")
    threading.Thread(target=_end_with_parent, args=(server,), daemon=True).start()
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        _say("Ended.")
    finally:
        server.server_close()
    return 0


def _end_with_parent(server: ModelServer) -> None:
    """Stop serving when stdin ends: whoever holds its other end has gone, by whatever signal."""
    with contextlib.suppress(OSError):
        while sys.stdin.buffer.read(1):
            continue
    server.shutdown()


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())

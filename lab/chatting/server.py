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
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lab.chatting.child import add_arguments, open_voice
from lab.chatting.completion import Asked, Speaker, read_request
from lab.chatting.problems import as_told, error_body, status_of
from lab.chatting.voice import BASE, Reply, Voice
from lab.errors import LabError

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


class _HungUpError(Exception):
    """Who asked has gone. Not an OSError: a model that cannot read its files raises those, and somebody waits then."""


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: ModelServer
    protocol_version = "HTTP/1.1"
    _streaming = False

    def do_GET(self) -> None:
        self._serve(self._models)

    def do_POST(self) -> None:
        self._serve(self._complete)

    def _serve(self, work: Callable[[], None]) -> None:
        """Do `work` for who may ask for it; whatever goes wrong in it is told to them, and the server goes on."""
        try:
            if self._allowed():
                work()
        except _HungUpError:
            return
        except Exception as error:  # noqa: BLE001  a model may raise anything; none of it may end the connection
            status, told = status_of(error), str(as_told(error))
            with contextlib.suppress(_HungUpError):
                self._fail(status, told)
            if status >= 500:
                with contextlib.suppress(OSError):  # stderr may have been closed meanwhile
                    _say(f"lab: {told}")

    def _models(self) -> None:
        if self.path.rstrip("/") != "/v1/models":
            self._fail(404, f"There is nothing at {self.path}.")
            return
        known = [
            {"id": name, "object": "model", "created": self.server.begun, "owned_by": "lora-lab"}
            for name in self.server.models
        ]
        self._send(200, {"object": "list", "data": known})

    def _complete(self) -> None:
        if self.path.rstrip("/") != "/v1/chat/completions":
            self._fail(404, f"There is nothing at {self.path}.")
            return
        asked = read_request(self._body(), self.server.models)
        (self._stream if asked.stream else self._whole)(asked)

    def _whole(self, asked: Asked) -> None:
        parts: list[str] = []
        reply = self._reply(asked, parts.append)
        self._send(200, asked.whole("".join(parts), reply))

    def _stream(self, asked: Asked) -> None:
        reply = self._reply(asked, lambda text: self._chunk(asked, {"content": text}))
        self._chunk(asked, {}, finish=reply.finish)
        if asked.include_usage:
            self._event(json.dumps(asked.usage_chunk(reply)))
        self._event("[DONE]")

    def _chunk(self, asked: Asked, delta: dict[str, str], finish: str | None = None) -> None:
        """Send a chunk. The first begins the stream: what fails before it, as most does, can still have its status."""
        if not self._streaming:
            self._streaming = self.close_connection = True
            self._head(200, {"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
            self._event(json.dumps(asked.chunk({"role": "assistant", "content": ""})))
        self._event(json.dumps(asked.chunk(delta, finish)))

    def _reply(self, asked: Asked, piece: Callable[[str], None]) -> Reply:
        with self.server.turn:
            speaker = Speaker(asked.stops, piece)
            reply = self.server.voice.reply(asked.messages, asked.sampling, asked.who, speaker.take, speaker.done)
            speaker.rest()
            return speaker.ended(reply)

    def _event(self, data: str) -> None:
        self._write(f"data: {data}\n\n".encode())

    def _body(self) -> bytes:
        try:
            return self.rfile.read(self._length())
        except OSError as error:
            self.close_connection = True
            raise _HungUpError from error

    def _length(self) -> int:
        """Return how long the body says it is; one that says no length of it has none that could be read."""
        told = self.headers.get("Content-Length") or ""
        told = told[:19]  # longer than any body already, and int refuses thousands of digits
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
        """Tell what went wrong: with its status, or as the last event of a stream that has begun."""
        self.close_connection = True
        body = error_body(status, message)
        if self._streaming:
            self._event(json.dumps(body))
        else:
            self._send(status, body)

    def _send(self, status: int, record: dict[str, Any]) -> None:
        body = json.dumps(record).encode()
        self._head(status, {"Content-Type": "application/json", "Content-Length": str(len(body))})
        self._write(body)

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:  # said, so that a client does not send its next request into a closed connection
            self.send_header("Connection", "close")
        self.end_headers()

    def end_headers(self) -> None:
        try:
            super().end_headers()
        except OSError as error:
            self.close_connection = True
            raise _HungUpError from error

    def _write(self, data: bytes) -> None:
        try:
            self.wfile.write(data)
            self.wfile.flush()
        except OSError as error:
            self.close_connection = True
            raise _HungUpError from error

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

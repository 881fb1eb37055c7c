"""What the served API answers when the model behind it fails: a status and a reason, and the next request is served."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from lab.chatting.server import ModelServer
from lab.chatting.voice import Messages, Reply
from lab.errors import DataError, LabError
from lab.profile.sampling import Sampling

TOKEN = "a-token-of-the-test"
HELLO = [{"role": "user", "content": "Hello"}]


@dataclass
class FakeVoice:
    """Says `says`, then raises `error` if there is one."""

    says: tuple[str, ...] = ("good ", "day")
    error: Exception | None = None
    asked: int = 0
    ended: list[BaseException | None] = field(default_factory=list)
    model: str = "fake"
    device: str = "cpu"
    voices: tuple[str, ...] = ("tuned", "base")

    def reply(
        self, messages: Messages, sampling: Sampling, who: str, piece: Callable[[str], None], gone: Callable[[], bool]
    ) -> Reply:
        self.asked += 1
        try:
            for text in self.says:
                piece(text)
        except BaseException as error:
            self.ended.append(error)
            raise
        if self.error is not None:
            raise self.error
        return Reply(3, 2, 0.1, 0.05, "stop")


@pytest.fixture
def voice() -> FakeVoice:
    return FakeVoice()


@pytest.fixture
def server(voice: FakeVoice) -> Iterator[ModelServer]:
    with ModelServer(0, voice, "my-run", TOKEN) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield made
        finally:
            made.shutdown()
            thread.join()


@pytest.fixture
def client(server: ModelServer) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    yield connection
    connection.close()


def ask(client: http.client.HTTPConnection, body: Any = None, **fields: Any) -> tuple[int, str]:
    data = json.dumps({"messages": HELLO, **fields}) if body is None else body
    client.request("POST", "/v1/chat/completions", data, {"Authorization": f"Bearer {TOKEN}"})
    answer = client.getresponse()
    return answer.status, answer.read().decode()


def events(text: str) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def told(text: str) -> tuple[str, str]:
    error = json.loads(text)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error["type"], error["message"]


FAILURES = [
    MemoryError(),
    RuntimeError('CUDA out of memory. Tried to allocate 2 GiB\n  File "/secret/place.py", line 3'),
    OSError(5, "Input/output error", "/weights/model.safetensors"),
    KeyError("rope"),
    LabError("The weights cannot be read.", "Export them anew."),
]


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("stream", [False, True])
def test_a_model_that_fails_is_told_as_such_and_the_server_goes_on(
    stream: bool,
    error: Exception,
    voice: FakeVoice,
    client: http.client.HTTPConnection,
    capfd: pytest.CaptureFixture[str],
) -> None:
    says, voice.says, voice.error = voice.says, (), error
    status, text = ask(client, stream=stream)
    kind, message = told(text)
    assert (status, kind) == (500, "server_error")
    assert message.count(". ") >= 1
    assert message.endswith(".")
    for trace in ("Traceback", "place.py", "\n"):
        assert trace not in message
    voice.says, voice.error = says, None
    status, text = ask(client)
    assert (status, json.loads(text)["choices"][0]["message"]["content"]) == (200, "good day")
    assert "Traceback" not in capfd.readouterr().err


def test_the_reason_is_told_to_both_sides(
    voice: FakeVoice, client: http.client.HTTPConnection, capfd: pytest.CaptureFixture[str]
) -> None:
    voice.error = RuntimeError("\x1b[31mCUDA out of memory.")
    _, text = ask(client)
    message = told(text)[1]
    assert message.startswith("The model failed while answering (RuntimeError: CUDA out of memory).")
    deadline = time.monotonic() + 20
    said = ""
    while message not in said and time.monotonic() < deadline:
        said += capfd.readouterr().err
    assert f"lab: {message}" in said
    assert "\x1b" not in said


def test_a_stream_that_breaks_off_ends_in_the_error(voice: FakeVoice, client: http.client.HTTPConnection) -> None:
    voice.error = OSError(5, "Input/output error")
    status, text = ask(client, stream=True)
    *chunks, last = events(text)
    assert status == 200
    assert "".join(chunk["choices"][0]["delta"]["content"] for chunk in chunks) == "good day"
    assert last["error"]["type"] == "server_error"
    voice.error = None
    assert events(ask(client, stream=True)[1])[-1] == "[DONE]"


@pytest.mark.parametrize("says", [("good ", "day"), ()])
def test_a_stream_that_ends_well(says: tuple[str, ...], voice: FakeVoice, client: http.client.HTTPConnection) -> None:
    voice.says = says
    status, text = ask(client, stream=True, stream_options={"include_usage": True})
    *chunks, end, usage, done = events(text)
    assert (status, done) == (200, "[DONE]")
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert "".join(chunk["choices"][0]["delta"]["content"] for chunk in chunks) == "".join(says)
    assert end["choices"][0]["finish_reason"] == "stop"
    assert usage["usage"]["total_tokens"] == 5


@pytest.mark.parametrize("stream", [False, True])
def test_what_the_asker_can_mend_stays_theirs(
    stream: bool, voice: FakeVoice, client: http.client.HTTPConnection
) -> None:
    voice.says, voice.error = (), DataError("The conversation has 600 tokens.", "Cut it.")
    status, text = ask(client, stream=stream)
    assert (status, *told(text)) == (400, "invalid_request_error", "The conversation has 600 tokens. Cut it.")


@pytest.mark.parametrize(
    "body",
    [
        "[" * 100_000,
        "{",
        json.dumps({"messages": [{"role": "user", "content": [{"type": "text", "text": None}]}]}),
    ],
    ids=["nested", "cut", "part without text"],
)
def test_strange_bodies_are_the_askers(body: str, client: http.client.HTTPConnection) -> None:
    assert ask(client, body)[0] == 400
    assert ask(client)[0] == 200


def test_a_length_of_thousands_of_digits_is_too_large(client: http.client.HTTPConnection) -> None:
    client.putrequest("POST", "/v1/chat/completions")
    client.putheader("Authorization", f"Bearer {TOKEN}")
    client.putheader("Content-Length", "9" * 5000)
    client.endheaders()
    assert client.getresponse().status == 413


def test_who_hangs_up_ends_the_answer_and_nothing_else(
    voice: FakeVoice, server: ModelServer, client: http.client.HTTPConnection, capfd: pytest.CaptureFixture[str]
) -> None:
    short, voice.says = voice.says, ("x" * 10_000,) * 10_000  # more than the sockets hold
    body = json.dumps({"messages": HELLO, "stream": True})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost:1\r\nAuthorization: Bearer {TOKEN}\r\n"
    with socket.create_connection(("127.0.0.1", server.server_port)) as asker:
        asker.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        assert asker.recv(100).startswith(b"HTTP/1.1 200")
    deadline = time.monotonic() + 20
    while not voice.ended and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(voice.ended) == 1
    voice.says = short
    assert ask(client)[0] == 200
    assert capfd.readouterr().err == ""

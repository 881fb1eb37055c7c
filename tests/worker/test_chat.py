"""Talking to what a tiny run trained: the child over pipes, the OpenAI API over loopback, the command."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.errors import LabError
from lab.launching.chat import ChatProcess, chat_arguments
from lab.profile.sampling import Sampling
from lab.runs.chats import Conversation, list_conversations
from lab.runs.paths import RunPaths
from tests.fixtures.tiny_runs import start_tiny, tiny_study, wait_ended

GREEDY = Sampling(temperature=0.0, repetition_penalty=1.0, max_new_tokens=12)
HELLO = [{"role": "user", "content": "Say number 3."}]
TOKEN = "a-token-of-the-test"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunPaths]:
    place = tmp_path_factory.mktemp("chat")
    tiny_study(place)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_HOME", str(place / "home"))
        patch.setenv("LAB_DEVICE_LOCKS", str(place / "locks"))
        run = start_tiny(place)
        assert wait_ended(run)["state"] == "completed", run.log.read_text()
        yield run


@pytest.fixture(scope="module")
def process(run: RunPaths) -> Iterator[ChatProcess]:
    with ChatProcess(chat_arguments(run.folder, device="cpu")) as process:
        progress: list[str] = []
        ready = process.wait_ready(progress.append)
        assert ready.voices == ("tuned", "base")
        assert "loading weights" in progress
        yield process


def ask(process: ChatProcess, who: str = "tuned", sampling: Sampling = GREEDY) -> str:
    heard: list[str] = []
    said = process.ask(HELLO, sampling, who, heard.append)
    assert "".join(heard) == said.text
    return said.text


def test_tuned_and_base_answer_each_in_their_own_way_and_the_same_again(process: ChatProcess) -> None:
    tuned, base = ask(process), ask(process, "base")
    assert tuned != base
    assert (ask(process), ask(process, "base")) == (tuned, base)


def test_a_seed_decides_what_is_drawn(process: ChatProcess) -> None:
    drawn = Sampling(temperature=3.0, top_p=1.0, max_new_tokens=12, seed=1)
    assert ask(process, sampling=drawn) == ask(process, sampling=drawn)
    assert ask(process, sampling=drawn) != ask(process, sampling=drawn.model_copy(update={"seed": 2}))


def test_an_answer_can_be_ended(process: ChatProcess) -> None:
    long = GREEDY.model_copy(update={"max_new_tokens": 400, "temperature": 4.0})
    said = process.ask(HELLO, long, "base", lambda piece: process.cancel())
    assert said.finish in ("cancelled", "stop")
    assert said.tokens < 400


def test_a_question_that_cannot_be_answered_does_not_end_the_conversation(process: ChatProcess) -> None:
    with pytest.raises(LabError, match="the model holds 512"):
        process.ask([{"role": "user", "content": "x" * 600}], GREEDY, "tuned", lambda piece: None)
    assert ask(process) == ask(process)


def test_a_killed_model_is_told_in_two_sentences(run: RunPaths) -> None:
    with ChatProcess(chat_arguments(run.folder, device="cpu")) as process:
        process.wait_ready()
        os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(LabError, match=r"process ended .* ask again"):
            ask(process)


def test_the_command_asks_prints_and_keeps(run: RunPaths) -> None:
    command = [sys.executable, "-m", "lab", "chat", run.id, "--ask", "Say number 3.", "--both", "--json"]
    done = subprocess.run(
        [*command, "--temperature", "0", "--max-new-tokens", "8", "--system", "Be brief."],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    answer = json.loads(done.stdout)
    assert [one["who"] for one in answer["answers"]] == ["tuned", "base"]
    assert list_conversations(run)[0] == answer["conversation"]
    kept = Conversation(run, answer["conversation"])
    assert [turn.who for turn in kept.turns] == ["system", "user", "tuned", "base"]
    assert kept.messages("base")[-1] == {"role": "assistant", "content": answer["answers"][1]["text"]}


def test_relative_names_begin_where_the_run_did(run: RunPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, copy = run.folder.parents[2], RunPaths(tmp_path / run.id)
    shutil.copytree(run.folder, copy.folder)
    text = copy.profile.read_text()
    assert f"{place}/model" in text
    copy.profile.write_text(text.replace(f"{place}/", ""))
    copy.origin.write_text(json.dumps({**json.loads(copy.origin.read_text()), "folder": str(place)}))
    monkeypatch.chdir(tmp_path)
    with ChatProcess(chat_arguments(Path(run.id), device="cpu")) as process:
        assert process.wait_ready().voices == ("tuned", "base")


class Api:
    """A client of the served API."""

    def __init__(self, base: str) -> None:
        self.base = base

    def call(self, path: str, body: dict[str, Any] | None = None, *, token: str = TOKEN, host: str = "") -> Any:
        headers = {"Authorization": f"Bearer {token}", **({"Host": host} if host else {})}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()


@pytest.fixture(scope="module")
def api(run: RunPaths) -> Iterator[Api]:
    command = [sys.executable, "-m", "lab", "serve-model", run.id, "--port", "0", "--device", "cpu"]
    server = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "LAB_SERVE_TOKEN": TOKEN}, start_new_session=True
    )
    try:
        assert server.stderr is not None
        said = ""
        while not (found := re.search(r"base URL +(http://127\.0\.0\.1:\d+/v1)", said)):
            line = server.stderr.readline()
            assert line, said
            said += line
        yield Api(found.group(1))
    finally:
        server.kill()  # the child that holds the model must not outlive it, whatever ended it
        server.communicate(timeout=60)  # ends when nobody holds stderr any more


def test_models_are_listed(api: Api, run: RunPaths) -> None:
    status, body = api.call("/models")
    assert status == 200
    assert [one["id"] for one in json.loads(body)["data"]] == [run.id, f"{run.id}:base"]


def test_a_whole_answer_and_a_streamed_one_say_the_same(api: Api) -> None:
    asked = {"messages": HELLO, "temperature": 0, "max_tokens": 12}
    status, body = api.call("/chat/completions", asked)
    whole = json.loads(body)
    assert status == 200
    assert whole["usage"]["total_tokens"] == whole["usage"]["prompt_tokens"] + whole["usage"]["completion_tokens"]
    status, body = api.call("/chat/completions", {**asked, "stream": True, "stream_options": {"include_usage": True}})
    lines = [line.removeprefix("data: ") for line in body.decode().split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    chunks = [json.loads(line) for line in lines[:-1]]
    text = "".join(c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"])
    assert text == whole["choices"][0]["message"]["content"]
    assert chunks[-1]["usage"] == whole["usage"]


@pytest.mark.parametrize(
    ("path", "body", "more", "status"),
    [
        ("/models", None, {"token": "wrong"}, 401),
        ("/models", None, {"host": "example.org"}, 403),
        ("/nothing", None, {}, 404),
        ("/chat/completions", {"model": "gpt-x", "messages": HELLO}, {}, 404),
        ("/chat/completions", {"messages": []}, {}, 400),
        ("/chat/completions", {"messages": HELLO, "n": 3}, {}, 400),
    ],
)
def test_refusals(api: Api, path: str, body: dict[str, Any] | None, more: dict[str, str], status: int) -> None:
    told, answer = api.call(path, body, **more)
    assert told == status
    assert json.loads(answer)["error"]["message"].endswith(".")


@pytest.mark.parametrize("length", ["-5", "many", "²"])
def test_a_length_that_is_none_is_answered_at_once(api: Api, length: str) -> None:
    host, _, port = api.base.removeprefix("http://").removesuffix("/v1").partition(":")
    client = http.client.HTTPConnection(host, int(port), timeout=60)
    try:
        client.putrequest("POST", "/v1/chat/completions")
        client.putheader("Authorization", f"Bearer {TOKEN}")
        client.putheader("Content-Length", length.encode("latin-1"))
        client.endheaders()
        assert client.getresponse().status == 400
    finally:
        client.close()


def test_openais_own_client_is_served(api: Api, run: RunPaths) -> None:
    openai = pytest.importorskip("openai", reason="the openai package is not installed")
    with openai.OpenAI(base_url=api.base, api_key=TOKEN) as client:
        answer = client.chat.completions.create(model=run.id, messages=HELLO, max_tokens=6, temperature=0)
        assert answer.choices[0].message.content is not None
        parts = client.chat.completions.create(model=run.id, messages=HELLO, max_tokens=6, temperature=0, stream=True)
        assert "".join(part.choices[0].delta.content or "" for part in parts) == answer.choices[0].message.content


def test_no_run_and_no_file(run: RunPaths, tmp_path: Path) -> None:
    for arguments, status, words in (
        (["chat", "nobody", "--ask", "x"], 3, "No run is called"),
        (["chat", run.id, "--gguf", str(tmp_path / "none.gguf"), "--ask", "x"], 1, "There is no file"),
        (["chat", run.id, "--top-p", "7", "--ask", "x"], 2, "top_p"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "lab", *arguments],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == status, done.stderr
        assert words in done.stderr

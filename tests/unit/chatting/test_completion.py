"""OpenAI's requests and answers as data."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lab.chatting.completion import Speaker, read_request
from lab.chatting.voice import Pieces, Reply, check_length, check_messages
from lab.errors import DataError, LabError, NotFoundError, UsageError
from lab.profile.sampling import Sampling

MODELS = {"my-run": "tuned", "my-run:base": "base"}
HELLO = [{"role": "user", "content": "Hello"}]


def read(**fields: Any) -> Any:
    return read_request(json.dumps({"messages": HELLO, **fields}).encode(), MODELS)


def test_what_is_left_out_is_as_openai_has_it() -> None:
    asked = read()
    assert (asked.who, asked.stream, asked.stops) == ("tuned", False, ())
    assert asked.sampling == Sampling(temperature=1.0, top_p=1.0, repetition_penalty=1.0)


def test_values_reach_the_sampling_under_their_own_names() -> None:
    asked = read(model="my-run:base", max_completion_tokens=7, temperature=0, top_p=0.5, seed=3, stop="\n")
    assert asked.who == "base"
    assert asked.sampling == Sampling(temperature=0.0, top_p=0.5, repetition_penalty=1.0, max_new_tokens=7, seed=3)
    assert asked.stops == ("\n",)


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"model": "my-rum"}, NotFoundError, "my-run"),
        ({"n": 2}, DataError, "n is not served"),
        ({"tools": [{}]}, DataError, "tools"),
        ({"logprobs": True}, DataError, "logprobs"),
        ({"temperature": -1}, UsageError, "temperature"),
        ({"max_tokens": 0}, UsageError, "max_new_tokens"),
        ({"seed": "x"}, UsageError, "seed"),
        ({"stop": [""]}, DataError, "stop"),
        ({"messages": []}, DataError, "no messages"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, DataError, "Message 0"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, DataError, "last message"),
    ],
    ids=str,
)
def test_what_cannot_be_served_is_refused_by_name(fields: dict[str, Any], error: type[LabError], words: str) -> None:
    with pytest.raises(error, match=words):
        read(**fields)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7"])
def test_a_request_that_is_none(body: bytes) -> None:
    with pytest.raises(DataError):
        read_request(body, MODELS)


def test_parts_and_the_developer_are_read() -> None:
    chat = check_messages(
        [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]},
        ]
    )
    assert chat == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]


@pytest.mark.parametrize(
    ("pieces", "stops", "said", "stopped"),
    [
        (["one ", "two"], (), "one two", False),
        (["one ", "two"], ("tw",), "one ", True),
        (["a<", "en", "d>b"], ("<end>",), "a", True),
        (["a<", "en", "ough"], ("<end>",), "a<enough", False),
        (["ab", "c"], ("c", "b"), "a", True),
    ],
)
def test_a_stop_word_ends_the_answer_wherever_it_is_cut(
    pieces: list[str], stops: tuple[str, ...], said: str, stopped: bool
) -> None:
    heard: list[str] = []
    speaker = Speaker(stops, heard.append)
    for piece in pieces:
        speaker.take(piece)
    speaker.rest()
    assert "".join(heard) == said
    assert speaker.done() is stopped
    assert speaker.ended(Reply(1, 1, 1.0, 0.1, "cancelled")).finish == ("stop" if stopped else "cancelled")


def decode(tokens: list[int]) -> str:
    return bytes(tokens).decode("utf-8", "replace")


def test_half_a_character_waits_for_its_other_half() -> None:
    heard: list[str] = []
    pieces = Pieces(decode, heard.append, frozenset({0}))
    for token in "aé".encode():
        pieces.take(token)
    assert heard == ["a", "é"]
    pieces.take(0)
    reply = pieces.end(5, cancelled=False)
    assert (reply.prompt_tokens, reply.tokens, reply.finish) == (5, 4, "stop")
    assert reply.first_token_seconds is not None


def test_what_never_becomes_a_character_is_said_at_the_end() -> None:
    heard: list[str] = []
    pieces = Pieces(decode, heard.append, frozenset())
    pieces.take("é".encode()[0])
    assert heard == []
    assert pieces.end(1, cancelled=False).finish == "length"
    assert heard == ["\ufffd"]


def test_an_answer_is_cut_to_what_the_model_can_hold() -> None:
    asked = Sampling(max_new_tokens=100)
    assert check_length(10, asked, 64).max_new_tokens == 54
    assert check_length(10, asked, None) == asked
    with pytest.raises(DataError, match="64 tokens, but the model holds 64"):
        check_length(64, asked, 64)

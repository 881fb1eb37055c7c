"""Pairwise judging: both orders, ties, what was judged is not judged again; the endpoint's key goes nowhere else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lab.cli.app import run as lab
from lab.compare.entry import load_entry
from lab.compare.table import build_table
from lab.errors import DataError, LabError, UsageError
from lab.evaluation.judging.endpoint import Endpoint, parse_endpoint
from lab.evaluation.judging.pairs import find_judge
from lab.evaluation.judging.prompt import PROMPT_HASH, Pair, preference, read_verdict
from lab.runs.paths import RunPaths
from lab.runs.store import find_run
from tests.fixtures.folders import make_run
from tests.fixtures.judge_server import judge_server
from tests.fixtures.tiny_llama import save_tiny_llama

ANSWERS = ["good one", "bad", "good two, and long at that", "same", "bad again"]
OTHERS = ["bad", "good", "bad", "same", "good indeed"]


def generations(answers: list[str], references: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "id": f"r{i}",
            "prompt": f"Question {i}?",
            "references": [reference],
            "answer": answer,
            "tokens": 3,
            "seconds": 0.1,
            "finish": "stop",
            "group": "",
            "nll": 1.0,
            "nll_tokens": 2,
            "reference_bytes": 3,
        }
        for i, (answer, reference) in enumerate(zip(answers, references, strict=True))
    ]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunPaths:
    monkeypatch.setenv("LAB_HOME", str(tmp_path))
    for name in ("LAB_JUDGE_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    rows = generations(ANSWERS, OTHERS)
    return make_run(tmp_path, generations=rows, metrics=("exact_match",), spec={"rows": len(rows)})


def shown(prompt: str) -> tuple[str, str]:
    found = re.search(r"\[Answer A\]\n(.*)\n\[End.*\[Answer B\]\n(.*)\n\[End", prompt, re.DOTALL)
    assert found
    return found[1], found[2]


def likes_good(prompt: str) -> tuple[int, Any]:
    first, _ = shown(prompt)
    return 200, "A" if first.startswith("good") else "B"


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("A", "first"),
        (" b.", "second"),
        ("TIE", "tie"),
        ("**A**", "first"),
        ("Answer B", "second"),
        ("I prefer B", "second"),
        ("<think>A or B?</think>B", "second"),
        ("A or B", ""),
        ("", ""),
        ("neither", ""),
        ("Bad", ""),
    ],
)
def test_a_reply_is_read_or_called_unclear(reply: str, verdict: str) -> None:
    assert read_verdict(reply) == verdict


@pytest.mark.parametrize(
    ("verdict", "swapped", "value"),
    [("first", False, 1.0), ("first", True, 0.0), ("second", False, 0.0), ("second", True, 1.0), ("tie", True, 0.5)],
)
def test_a_preference_is_seen_from_the_run(verdict: str, swapped: bool, value: float) -> None:
    assert preference(verdict, swapped=swapped) == value


def test_braces_in_answers_are_words() -> None:
    assert '{"a": {0}}' in Pair("r", "q", '{"a": {0}}', "{question}", False).text


def judge(run: RunPaths, url: str, *more: str) -> int:
    return lab(["judge", run.id, "--judge", f"openai:{url}#m", *more])


def test_win_rates_join_the_metrics_and_the_table(run: RunPaths, capsys: pytest.CaptureFixture[str]) -> None:
    with judge_server(likes_good) as server:
        assert judge(run, server.url, "--json") == 0
        found = json.loads(capsys.readouterr().out)["metrics"]
        assert len(server.requests) == 8  # four rows that differ, in both orders; "same" needs no judge
        assert {request["path"] for request in server.requests} == {"/v1/chat/completions"}
        assert judge(run, server.url) == 0
        assert len(server.requests) == 8  # judged already
    assert found["win_rate"]["value"] == pytest.approx((1 + 0 + 1 + 0.5 + 0) / 5)
    assert found["win_rate"]["signature"].startswith(f"judge:m@127.0.0.1|prompt:{PROMPT_HASH}|against:reference")
    assert 0 < found["win_rate_lc"]["value"] < 1
    entry = load_entry(find_run(run.id))
    assert entry.metrics["win_rate"]["value"] == found["win_rate"]["value"]
    columns = {column.key: column for column in build_table([entry]).columns}
    assert (columns["win_rate"].label, columns["win_rate"].better) == ("win rate", "higher")
    assert lab(["eval", run.id, "--rescore"]) == 0
    assert load_entry(find_run(run.id)).metrics["win_rate"]["value"] == found["win_rate"]["value"]


def test_a_judge_who_takes_the_first_answer_says_nothing(run: RunPaths, capsys: pytest.CaptureFixture[str]) -> None:
    with judge_server(lambda prompt: (200, "A")) as server:
        assert judge(run, server.url, "--json") == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["win_rate"]["value"] == 0.5


def test_another_run_is_the_other_side(run: RunPaths, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    theirs = ["good", "good", "good", "good", "good"]
    other = make_run(tmp_path, "other", generations=generations(theirs, OTHERS), metrics=("exact_match",))
    with judge_server(likes_good) as server:
        assert judge(run, server.url, "--against", other.id, "--json") == 0
    metric = json.loads(capsys.readouterr().out)["metrics"]["win_rate"]
    assert metric["value"] == pytest.approx((0.5 + 0 + 0.5 + 0 + 0) / 5)  # both good: the first, in either order
    assert f"against:{other.id}/" in metric["signature"]


def test_replies_without_a_verdict_are_counted_and_never_guessed(
    run: RunPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    with judge_server(lambda prompt: (200, "Hm." if "Question 1?" in prompt else "TIE")) as server:
        assert judge(run, server.url) == 0
        assert "4 rows; 1 with equal answers, a tie; 2 replies named no answer" in capsys.readouterr().err
    alike = make_run(run.folder.parent.parent, "full", generations=generations(["a"], ["b"]), metrics=("exact_match",))
    with judge_server(lambda prompt: (200, "Hm.")) as server:
        assert judge(alike, server.url) == DataError.exit_code
    assert "named no answer" in capsys.readouterr().err


def test_it_tries_again_where_that_may_help_and_keeps_what_was_said(run: RunPaths) -> None:
    failures = [429, 503]
    waited: list[float] = []

    def reply(prompt: str) -> tuple[int, Any]:
        return (failures.pop(0), {"error": {"message": "busy"}}) if failures else (200, "B")

    with judge_server(reply) as server:
        endpoint = Endpoint(server.url, "m", sleep=waited.append)
        assert endpoint.ask("x") == "B"
        assert waited == [1.0, 2.0]
        failures.extend([400])
        with pytest.raises(LabError, match=r"answered 400 \(busy\)"):
            endpoint.ask("x")
        failures.extend([500] * 9)
        with pytest.raises(LabError, match="answered 500"):
            endpoint.ask("x")


def test_the_key_is_sent_and_never_shown(
    run: RunPaths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LAB_JUDGE_KEY", "sk-secret-1234")
    with judge_server(lambda prompt: (401, {"error": {"message": "bad key sk-secret-1234"}})) as server:
        assert judge(run, server.url) == 1
        assert server.keys[0] == "Bearer sk-secret-1234"
    printed = capsys.readouterr()
    assert "answered 401 (bad key ***)" in printed.err
    files = b"".join(path.read_bytes() for path in run.folder.rglob("*") if path.is_file())
    assert "sk-secret" not in printed.out + printed.err
    assert b"sk-secret" not in files


@pytest.mark.parametrize("status", [302, 307])
def test_a_redirect_does_not_carry_the_key_away(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_JUDGE_KEY", "k")
    with judge_server(lambda prompt: (200, "A")) as elsewhere:
        with (
            judge_server(lambda prompt: (status, f"{elsewhere.url}/chat/completions")) as server,
            pytest.raises(LabError, match=f"answered {status}"),
        ):
            Endpoint(server.url, "m").ask("x")
        assert elsewhere.requests == []


def test_what_is_no_completion_and_no_server_is_told() -> None:
    with judge_server(lambda prompt: (200, {"choices": []})) as server:
        with pytest.raises(LabError, match="did not answer as OpenAI"):
            Endpoint(server.url, "m").ask("x")
        url = server.url
    with pytest.raises(LabError, match="cannot be reached"):
        Endpoint(url, "m", sleep=lambda seconds: None).ask("x")


@pytest.mark.parametrize(
    "text", ["openai:nowhere", "openai:ftp://h/v1#m", "openai:http://h/v1", "opnai:x", "model:", ""]
)
def test_what_names_no_judge_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"no endpoint|no judge"):
        find_judge(text)


def test_a_password_in_an_address_is_not_repeated() -> None:
    with pytest.raises(UsageError) as caught:
        parse_endpoint("https://me:secret@host/v1#m")
    assert "secret" not in str(caught.value)


def test_people_are_a_judge_too(run: RunPaths, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from lab.compare.rating import begin, record

    other = make_run(tmp_path, "other", generations=generations(OTHERS, OTHERS), metrics=("exact_match",))
    assert lab(["judge", run.id, "--judge", "human", "--against", other.id]) == DataError.exit_code
    entries = [load_entry(find_run(one.id)) for one in (run, other)]
    session = begin(entries[0], entries[1], (run, other))
    while (question := session.next) is not None:
        record(session, question, "left" if question.left_run == run.id else "right")
    capsys.readouterr()
    assert lab(["judge", run.id, "--judge", "human", "--against", other.id, "--json"]) == 0
    metric = json.loads(capsys.readouterr().out)["metrics"]["win_rate"]
    assert metric["value"] == pytest.approx((4 + 0.5) / 5)
    assert "judge:human" in metric["signature"]
    assert lab(["judge", run.id, "--judge", "human"]) == UsageError.exit_code


def test_a_local_model_is_a_judge(run: RunPaths, tmp_path: Path) -> None:
    judge = find_judge(f"model:{save_tiny_llama(tmp_path / 'arbiter')}")
    pairs = [Pair(str(i), f"Question {i}?", "one", "two", False) for i in range(3)]
    said = list(judge.replies(pairs))
    assert {pair.row for pair, _ in said} == {"0", "1", "2"}
    assert judge.label == "arbiter"
    assert said == list(judge.replies(pairs))  # greedy

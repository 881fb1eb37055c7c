"""No secret of the command line reaches the run folder."""

from __future__ import annotations

import pytest

from lab.training.environment import installed, redact


@pytest.mark.parametrize(
    ("word", "kept"),
    [
        ("hf_abcdefgh12345", "[redacted]"),
        ("--x=hf_abcdefgh12345,more", "--x=[redacted],more"),
        ("sk-abc_def-12345678", "[redacted]"),
        ("ghp_abcdefgh12345", "[redacted]"),
        ("token=abc", "token=[redacted]"),
        ("--hub-token=abc", "--hub-token=[redacted]"),
        ("HF_TOKEN=abc", "HF_TOKEN=[redacted]"),
        ("api_key=abc", "api_key=[redacted]"),
        ("password=p w", "password=[redacted] w"),
        ("client_secret=abc", "client_secret=[redacted]"),
        ("https://x.org/?token=abc", "https://x.org/?token=[redacted]"),
        ("https://me:pa:ss@hub.org/model", "https://me:[redacted]@hub.org/model"),
        ("proxy=http://user:p@ss@10.0.0.1:80", "proxy=http://user:[redacted]@10.0.0.1:80"),
        ("postgresql+x://:pw@host", "postgresql+x://:[redacted]@host"),
        ("https://host:8080/a@b", "https://host:8080/a@b"),
        ("https://me@host/x", "https://me@host/x"),
        ("github_pat_abcdefgh12345", "[redacted]"),
        ("hf_short", "hf_short"),
        ("train.tokens_per_step=0", "train.tokens_per_step=0"),
        ("evaluate.max_new_tokens=48", "evaluate.max_new_tokens=48"),
        ("model.name=org/task-model", "model.name=org/task-model"),
        ("train", "train"),
        ("", ""),
    ],
)
def test_redaction(word: str, kept: str) -> None:
    assert redact([word]) == [kept]


@pytest.mark.parametrize(
    "option", ["--token", "--hub-token", "--hf_token", "-token", "--password", "--api-key", "--apikey", "--TOKEN"]
)
def test_the_word_behind_a_secret_option_is_hidden(option: str) -> None:
    assert redact(["lab", option, "abc", "train"]) == ["lab", option, "[redacted]", "train"]


@pytest.mark.parametrize("option", ["--tokens", "--max-new-tokens", "token", "--keyword", "--token=abc"])
def test_the_word_behind_another_option_stays(option: str) -> None:
    assert redact(["lab", option, "abc"])[2] == "abc"


def test_an_option_at_the_end_hides_nothing() -> None:
    assert redact(["lab", "--token"]) == ["lab", "--token"]
    assert redact([]) == []


def test_versions_of_what_is_installed_and_of_nothing_else() -> None:
    assert installed("torch")
    assert installed("no-such-package-of-anybody") is None

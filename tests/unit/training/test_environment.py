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
        ("hf_short", "hf_short"),
        ("train.tokens_per_step=0", "train.tokens_per_step=0"),
        ("evaluate.max_new_tokens=48", "evaluate.max_new_tokens=48"),
        ("model.name=org/task-model", "model.name=org/task-model"),
        ("train", "train"),
        ("", ""),
    ],
)
def test_redaction(word: str, kept: str) -> None:
    assert redact(word) == kept


def test_versions_of_what_is_installed_and_of_nothing_else() -> None:
    assert installed("torch")
    assert installed("no-such-package-of-anybody") is None

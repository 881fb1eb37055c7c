"""What a terminal can show, by its variables, size and encoding."""

from __future__ import annotations

import io
import sys

import pytest

from lab.telemetry.terminal import colours, judge, terminal

XTERM = {"TERM": "xterm-256color"}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "no colours (TERM=dumb)"),
        ({"TERM": "dumb", "COLORTERM": "truecolor"}, "no colours (TERM=dumb)"),
        ({"TERM": "linux"}, "16 colours"),
        (XTERM, "256 colours"),
        ({**XTERM, "COLORTERM": "truecolor"}, "16 million colours"),
        ({**XTERM, "COLORTERM": "truecolor", "NO_COLOR": "1"}, "no colours (NO_COLOR)"),
        ({**XTERM, "NO_COLOR": ""}, "256 colours"),
    ],
)
def test_colours(environment: dict[str, str], expected: str) -> None:
    assert colours(environment) == expected


@pytest.mark.parametrize(
    ("environment", "size", "encoding", "status"),
    [
        (XTERM, (80, 24), "utf-8", "ok"),
        (XTERM, (80, 24), "UTF8", "ok"),
        (XTERM, (80, 24), "ANSI_X3.4-1968", "warn"),
        (XTERM, (80, 24), "", "warn"),
        (XTERM, (60, 20), "utf-8", "ok"),
        (XTERM, (59, 20), "utf-8", "warn"),
        (XTERM, (60, 19), "utf-8", "warn"),
        ({"TERM": "dumb"}, (80, 24), "utf-8", "warn"),
    ],
)
def test_what_falls_short_is_a_warning(
    environment: dict[str, str], size: tuple[int, int], encoding: str, status: str
) -> None:
    check = judge(environment, size, encoding)
    assert check.status == status
    assert bool(check.remedy) == (status == "warn")


def test_what_lies_between_is_named() -> None:
    environment = {**XTERM, "TMUX": "/tmp/tmux", "SSH_CONNECTION": "1 2 3 4"}
    assert judge(environment, (120, 40), "utf-8").found == "120 x 40, UTF-8, 256 colours, tmux, SSH"


def test_a_pipe_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert terminal().found.startswith("none")

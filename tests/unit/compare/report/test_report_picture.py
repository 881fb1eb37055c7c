"""The PNG: a browser is asked for the page's height, then for a picture of it; without one the refusal says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.compare.report import picture as module
from lab.compare.report.picture import picture
from lab.errors import LabError, NotFoundError


def fake(tmp_path: Path, body: str) -> str:
    """Return a program that writes its arguments down and does `body`."""
    program = tmp_path / "browser"
    program.write_text(f'#!/bin/sh\nfor a; do echo "$a" >> {tmp_path}/asked; done\n{body}\n')
    program.chmod(0o755)
    return str(program)


DRAWS = """for a; do case "$a" in
--dump-dom) echo '<html lang="en" class="js" data-height="4321">';;
--screenshot=*) printf PNG > "${a#--screenshot=}";;
esac; done"""


def test_the_whole_height_is_drawn(tmp_path: Path) -> None:
    out = tmp_path / "r.png"
    picture("<p>x</p>", out, browser=fake(tmp_path, DRAWS))
    assert out.read_bytes() == b"PNG"
    asked = (tmp_path / "asked").read_text().splitlines()
    assert [line for line in asked if line.startswith("--window-size")] == [
        "--window-size=1400,1000",
        "--window-size=1400,4322",
    ]
    assert all(line.startswith(("--", "file://")) for line in asked)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("exit 1", "could not lay out"),
        ("echo '<html data-height=\"9\">'", "drew no picture"),
    ],
)
def test_a_browser_that_does_not_work_is_named(tmp_path: Path, body: str, words: str) -> None:
    with pytest.raises(LabError, match=words):
        picture("<p>x</p>", tmp_path / "r.png", browser=fake(tmp_path, body))
    assert not (tmp_path / "r.png").exists()


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="does not work"):
        picture("<p>x</p>", tmp_path / "r.png", browser=str(tmp_path / "none"))


def test_without_a_browser_the_refusal_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    with pytest.raises(NotFoundError, match=r"none of chromium.*apt install chromium.*\.html or \.md"):
        module.find_browser()

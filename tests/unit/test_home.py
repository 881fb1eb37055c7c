"""Where the lab keeps things, and folders that refuse."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

import lab
from lab.errors import OutOfSpaceError, UsageError
from lab.home import cache_root, lab_home, make_private, packed_profiles, profile_roots, runs_root


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("LAB_HOME", "LAB_PROFILES", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("value", "expected"), [("", ".lab"), ("other", "other"), ("~/lab", "me/lab")])
def test_home_follows_the_variable(here: Path, monkeypatch: pytest.MonkeyPatch, value: str, expected: str) -> None:
    monkeypatch.setenv("LAB_HOME", value)
    assert lab_home() == here / expected
    assert runs_root() == here / expected / "runs"
    assert not lab_home().exists()


def test_runs_folder_is_made_private(here: Path) -> None:
    before = os.umask(0)
    try:
        root = runs_root(create=True)
    finally:
        os.umask(before)
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    assert stat.S_IMODE(root.parent.stat().st_mode) == 0o700


def test_an_existing_folder_keeps_its_mode(here: Path) -> None:
    (here / "shared").mkdir(mode=0o755)
    (here / "shared").chmod(0o755)
    make_private(here / "shared")
    assert stat.S_IMODE((here / "shared").stat().st_mode) == 0o755


@pytest.mark.parametrize("blocked", [".lab", ".lab/runs"])
def test_a_file_in_the_way_is_refused(here: Path, blocked: str) -> None:
    path = here / blocked
    path.parent.mkdir(exist_ok=True)
    path.write_text("a file")
    with pytest.raises(OutOfSpaceError, match="LAB_HOME"):
        runs_root(create=True)
    with pytest.raises(UsageError, match=r"is a file\. Set LAB_HOME"):
        runs_root()
    assert path.read_text() == "a file"


def test_a_folder_without_write_permission_is_refused(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = runs_root(create=True)
    asked = []

    def refuse(path: Path, mode: int) -> bool:
        asked.append((path, mode))
        return False

    monkeypatch.setattr(os, "access", refuse)  # root may write everywhere, so the kernel is not asked
    with pytest.raises(OutOfSpaceError, match="cannot be written"):
        runs_root(create=True)
    assert asked == [(root, os.W_OK | os.X_OK)]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_refused(here: Path) -> None:
    here.chmod(0o500)
    try:
        with pytest.raises(OutOfSpaceError):
            runs_root(create=True)
    finally:
        here.chmod(0o700)


def test_cache_follows_the_xdg_variable(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_root() == here / "me" / ".cache" / "lora-lab"
    monkeypatch.setenv("XDG_CACHE_HOME", str(here / "cache"))
    assert cache_root() == here / "cache" / "lora-lab"


def test_profiles_are_looked_up_here_then_on_the_path_then_in_the_package(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_PROFILES", os.pathsep.join(["one", "", "~/two", "one"]))
    assert profile_roots() == [here / "profiles", here / "one", here / "me" / "two", packed_profiles()]


def test_packed_profiles_of_a_wheel_win_over_the_checkout(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab, "__file__", str(here / "lab" / "__init__.py"))
    assert packed_profiles() == here / "profiles"
    (here / "lab" / "_profiles").mkdir(parents=True)
    assert packed_profiles() == here / "lab" / "_profiles"

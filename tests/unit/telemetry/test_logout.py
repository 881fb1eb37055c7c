"""Whether a detached run outlives a logout: where it stands, what logind says, what its files say."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab.telemetry import logout as module
from lab.telemetry.logout import configured, kills_sessions, lingers, logout, of_session, of_user_manager, place_of

SESSION = "0::/user.slice/user-1000.slice/session-3.scope\n"
MANAGER = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-org.gnome.Terminal.slice/vte-spawn-1.scope\n"
OLD_SESSION = "12:memory:/user.slice\n1:name=systemd:/user.slice/user-1000.slice/session-c2.scope\n0::/x\n"


@pytest.mark.parametrize(
    ("cgroup", "place"),
    [
        (SESSION, "session"),
        (OLD_SESSION, "session"),
        (MANAGER, "user manager"),
        ("0::/\n", "outside"),
        ("0::/system.slice/sshd.service\n", "outside"),
        ("0::/docker/0123abc\n", "outside"),
        ("", "outside"),
    ],
)
def test_the_control_group_tells_the_place(cgroup: str, place: str) -> None:
    assert place_of(cgroup) == place


@pytest.mark.parametrize(
    ("kills", "root", "status"),
    [(True, False, "warn"), (None, False, "warn"), (False, False, "ok"), (True, True, "ok")],
)
def test_a_session_ends_its_processes_only_where_it_is_told_to(kills: bool | None, root: bool, status: str) -> None:
    check = of_session(kills, root=root)
    assert check.status == status
    assert ("systemd-run --user --scope" in check.remedy) == (status == "warn")


@pytest.mark.parametrize(("lingering", "status"), [(True, "ok"), (False, "warn"), (None, "warn")])
def test_the_user_manager_stays_only_with_lingering(lingering: bool | None, status: str) -> None:
    check = of_user_manager(lingering)
    assert check.status == status
    assert ("loginctl enable-linger" in check.remedy) == (status == "warn")


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"etc/logind.conf": "[Login]\n#KillUserProcesses=yes\n"}, None),
        ({"etc/logind.conf": "[Login]\nKillUserProcesses=yes\n"}, True),
        ({"etc/logind.conf": "[Login]\n KillUserProcesses = No \n"}, False),
        ({"usr/logind.conf": "KillUserProcesses=yes"}, True),
        ({"etc/logind.conf": "", "usr/logind.conf": "KillUserProcesses=yes"}, None),  # one main file, the strongest
        ({"etc/logind.conf": "KillUserProcesses=no", "usr/logind.conf.d/a.conf": "KillUserProcesses=yes"}, True),
        (
            {"usr/logind.conf.d/b.conf": "KillUserProcesses=no", "etc/logind.conf.d/a.conf": "KillUserProcesses=1"},
            False,
        ),
        ({"usr/logind.conf.d/a.conf": "KillUserProcesses=no", "etc/logind.conf.d/a.conf": "KillUserProcesses=1"}, True),
        ({"usr/logind.conf.d/a.conf": "KillUserProcesses=yes", "etc/logind.conf.d/a.conf": ""}, None),
    ],
)
def test_files_are_read_in_logind_order(tmp_path: Path, files: dict[str, str], expected: bool | None) -> None:
    for name, text in files.items():
        write(tmp_path, name, text)
    assert configured([tmp_path / "etc", tmp_path / "usr"]) is expected


def answer(monkeypatch: pytest.MonkeyPatch, *replies: str | Exception) -> list[list[str]]:
    """Let commands answer in turn; return the list of what was asked."""
    asked: list[list[str]] = []
    queue = list(replies)

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(list(command))
        reply = queue.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return subprocess.CompletedProcess(command, 0, reply, "")

    monkeypatch.setattr(module.subprocess, "run", run)
    return asked


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("b true\n", True),
        ("b false\n", False),
        ("", None),
        (FileNotFoundError("busctl"), None),
        (subprocess.TimeoutExpired("busctl", 5), None),
    ],
)
def test_logind_is_asked_before_its_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reply: str | Exception, expected: bool | None
) -> None:
    write(tmp_path, "logind.conf", "KillUserProcesses=no")
    answer(monkeypatch, reply)
    monkeypatch.setattr(module, "CONFIG_ROOTS", (tmp_path,))
    assert kills_sessions() is (False if expected is None else expected)


@pytest.mark.parametrize(("reply", "expected"), [("Linger=yes\n", True), ("Linger=no\n", False), ("", None)])
def test_loginctl_tells_of_lingering(monkeypatch: pytest.MonkeyPatch, reply: str, expected: bool | None) -> None:
    asked = answer(monkeypatch, reply)
    assert lingers() is expected
    assert asked[0][:2] == ["loginctl", "show-user"]


def test_the_place_decides_who_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "MINE", tmp_path / "cgroup")
    monkeypatch.setattr(module.os, "getuid", lambda: 1000)
    monkeypatch.setattr(module.pwd, "getpwuid", lambda uid: type("Entry", (), {"pw_name": "me"}))
    asked = answer(monkeypatch, "Linger=no", "b true")
    assert logout().status == "ok"  # no such file
    (tmp_path / "cgroup").write_text(MANAGER)
    assert "lingering is off" in logout().found
    (tmp_path / "cgroup").write_text(SESSION)
    assert "KillUserProcesses=yes" in logout().found
    assert [words[0] for words in asked] == ["loginctl", "busctl"]

"""`lab doctor` as a command: lines, JSON, exit code."""

from __future__ import annotations

import json

import pytest

from lab.cli.app import run
from lab.cli.doctor import lines_of
from lab.launching import workerchecks
from lab.telemetry import doctor
from lab.telemetry.check import Check

FINE = Check("fine", "ok", "1.2.3")
POOR = Check("poor", "warn", "so so", "Do something about it.")
BROKEN = Check("broken", "fail", "no", "Mend it.")


@pytest.fixture
def findings(monkeypatch: pytest.MonkeyPatch) -> list[Check]:
    """Let the worker side find what is in this list, beside one light check that is fine."""
    found: list[Check] = []
    monkeypatch.setattr(doctor, "LIGHT", {"fine": lambda: FINE})
    monkeypatch.setattr(workerchecks, "worker_checks", lambda: iter(found))
    return found


def test_warnings_do_not_fail(findings: list[Check], capsys: pytest.CaptureFixture[str]) -> None:
    findings.append(POOR)
    assert run(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["ok", "fine", "1.2.3"]
    assert lines[1].split() == ["warn", "poor", "so", "so"]
    assert lines[2].strip() == "-> Do something about it."
    assert lines[2].index("->") == lines[1].index("so so") == lines[0].index("1.2.3")
    assert lines[3] == "What is needed works, 1 warning."


def test_a_failed_check_fails_the_command(findings: list[Check], capsys: pytest.CaptureFixture[str]) -> None:
    findings += [BROKEN, POOR, BROKEN]
    assert run(["doctor"]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "2 checks failed, 1 warning."


@pytest.mark.parametrize(("extra", "ok", "code"), [([], True, 0), ([BROKEN], False, 1)])
def test_json_has_every_check(
    findings: list[Check], capsys: pytest.CaptureFixture[str], extra: list[Check], ok: bool, code: int
) -> None:
    findings += extra
    assert run(["doctor", "--json"]) == code
    record = json.loads(capsys.readouterr().out)
    assert record["ok"] is ok
    assert record["checks"] == [check.as_json() for check in (FINE, *extra)]


@pytest.mark.parametrize("columns", [60, 80, 160])
def test_long_findings_go_on_beneath_themselves(columns: int) -> None:
    check = Check("a name", "fail", "word " * 40, "remedy " * 30)
    lines = lines_of(check, 12, columns).split("\n")
    assert max(map(len, lines)) <= columns
    assert all(line.startswith(" " * 20) for line in lines[1:])
    assert " ".join(" ".join(lines).split()) == f"fail a name {'word ' * 40}-> {('remedy ' * 30).strip()}"

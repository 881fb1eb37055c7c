"""A child that answers in lines: its answers, its errors, its death."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.launching.child import json_lines
from lab.launching.workerchecks import worker_checks

HEAD = "import os, signal, sys, time\nfrom lab.launching.child import serve\n"
Module = Callable[[str], str]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Module:
    """Return a function that writes the module `answering` with the given lines in it, and returns its name."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")

    def write(body: str) -> str:
        lines = "\n".join(f"    {line}" for line in body.splitlines())
        (tmp_path / "answering.py").write_text(f"{HEAD}def work(emit):\n{lines}\nsys.exit(serve(work))\n")
        return "answering"

    return write


def test_objects_come_as_they_are_printed_and_library_chatter_does_not(module: Module) -> None:
    name = module(
        "print('chatter')\n"
        "os.write(1, b'chatter of a C library')\n"
        "emit({'arguments': sys.argv[1:]})\n"
        "emit({'nan': float('nan'), 'text': 'ä\\n'})"
    )
    lines = json_lines(name, ["--a", "b c"], timeout=60)
    assert list(lines) == [{"arguments": ["--a", "b c"]}, {"nan": "nan", "text": "ä\n"}]


def test_an_error_of_the_lab_travels_whole(module: Module) -> None:
    name = module("from lab.errors import UsageError\nemit({'a': 1})\nraise UsageError('It is wrong.', 'Mend it.')")
    found: list[dict[str, object]] = []
    with pytest.raises(LabError) as caught:
        found.extend(json_lines(name, timeout=60))
    assert found == [{"a": 1}]
    assert (caught.value.problem, caught.value.remedy) == ("It is wrong.", "Mend it.")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("raise ValueError('broken library')", "ended with status 1: ValueError: broken library."),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "was killed by SIGSEGV: it gave no reason."),
        ("print('\\x1b[31mlast words', file=sys.stderr); os._exit(7)", "ended with status 7: last words."),
    ],
)
def test_death_is_told_with_its_cause(module: Module, body: str, told: str) -> None:
    with pytest.raises(LabError) as caught:
        list(json_lines(module(body), timeout=60))
    assert caught.value.problem == f"answering {told}"


def test_a_line_cut_by_death_is_no_answer(module: Module) -> None:
    name = module(
        "emit({'a': 1})\n"
        "pipe = next(fd for fd in range(3, 99) if os.readlink(f'/proc/self/fd/{fd}').startswith('pipe:'))\n"
        "os.write(pipe, b'{\"half')\n"
        "os._exit(1)"
    )
    found: list[dict[str, object]] = []
    with pytest.raises(LabError, match="ended with status 1: it gave no reason"):
        found.extend(json_lines(name, timeout=60))
    assert found == [{"a": 1}]


def test_a_child_that_hangs_is_killed(module: Module) -> None:
    with pytest.raises(LabError, match=r"was killed by SIGKILL: no answer within 1 s\."):
        list(json_lines(module("time.sleep(600)"), timeout=1.0))


def test_a_caller_that_leaves_takes_the_child_with_it(module: Module) -> None:
    lines = json_lines(module("emit({'pid': os.getpid()})\ntime.sleep(600)"), timeout=60)
    pid = next(lines)["pid"]
    lines.close()  # type: ignore[attr-defined]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


CHECKS = """\
from lab.bench.doctor import run_checks
from lab.telemetry.check import Check
checks = {
    'good': lambda: Check('good', 'ok', 'fine'),
    'crash': lambda: os.kill(os.getpid(), signal.SIGSEGV),
    'raises': lambda: 1 / 0,
    'last': lambda: Check('last', 'warn', 'so so', 'nothing'),
}
run_checks(emit, checks, sys.argv[2] if len(sys.argv) > 1 else '')"""


def test_a_check_that_kills_its_process_has_failed_and_the_others_are_made(module: Module) -> None:
    found = list(worker_checks(module(CHECKS), timeout=60))
    assert [(check.name, check.status) for check in found] == [
        ("good", "ok"),
        ("crash", "fail"),
        ("raises", "fail"),
        ("last", "warn"),
    ]
    assert "SIGSEGV" in found[1].found
    assert found[2].found == "ZeroDivisionError: division by zero"


def test_a_worker_side_that_cannot_start_is_one_failed_check(module: Module) -> None:
    (check,) = worker_checks(module("raise ImportError('no torch')"), timeout=60)
    assert (check.name, check.status) == ("worker", "fail")
    assert "no torch" in check.found

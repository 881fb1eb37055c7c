"""An export's folder is there whole or not at all, whatever ends the process that writes it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab.errors import LabError, RunStateError, UsageError
from lab.exporting.staging import staged

WRITER = """
import sys
from pathlib import Path
from lab.exporting.staging import staged
with staged(Path(sys.argv[1])) as folder:
    (folder / "model.safetensors").write_bytes(b"half")
    (folder / "sub").mkdir()
    print("writing", flush=True)
    sys.stdin.read()
"""


def start(target: Path) -> subprocess.Popen[bytes]:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"writing\n"
    return writer


def end(writer: subprocess.Popen[bytes], number: signal.Signals) -> None:
    os.kill(writer.pid, number)
    writer.communicate()


def test_a_killed_export_leaves_nothing_that_looks_finished_and_the_next_one_tidies_up(tmp_path: Path) -> None:
    target = tmp_path / "out"
    end(start(target), signal.SIGKILL)
    assert not target.exists()
    assert [path.name for path in tmp_path.iterdir()] == [".out.part"]
    with staged(target) as folder:
        assert [path.name for path in folder.iterdir()] == ["lock"]
        (folder / "whole").write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [path.name for path in target.iterdir()] == ["whole"]


def test_two_exports_cannot_write_one_folder(tmp_path: Path) -> None:
    writer = start(tmp_path / "out")
    with pytest.raises(RunStateError, match="Another export"), staged(tmp_path / "out"):
        pass
    assert writer.stdin is not None
    writer.communicate()
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == b"half", "the first one went on undisturbed"


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    def fails() -> None:
        with staged(tmp_path / "out") as folder:
            (folder / "model.safetensors").write_bytes(b"half")
            raise LabError("No.", "Really.")

    with pytest.raises(LabError):
        fails()
    assert list(tmp_path.iterdir()) == []


def test_what_came_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    def meets() -> None:
        with staged(tmp_path / "out"):
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "mine").write_text("mine")

    with pytest.raises(UsageError, match="exists"):
        meets()
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "mine"]


def test_an_empty_folder_gives_way(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with staged(tmp_path / "out") as folder:
        (folder / "a").write_text("a")
    assert (tmp_path / "out" / "a").is_file()

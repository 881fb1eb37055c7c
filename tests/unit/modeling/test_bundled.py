"""The cache of bundled models: what is trusted, what is refused, what is cleaned up. Fake wheels, a fake converter."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.errors import LabError, NotFoundError, OutOfSpaceError
from lab.home import cache_root
from lab.modeling import bundled, convert, wheel
from lab.modeling.bundled import BUNDLED, bundled_ready, ensure_bundled
from tests.fixtures import tiny_gguf

FILES = {"config.json": "{}", "model.safetensors": "weights", "tokenizer.json": "{}"}


class Converter:
    """Stands in for `convert_gguf`: writes FILES and counts."""

    def __init__(self) -> None:
        self.sources: list[bytes] = []
        self.failure: Exception | None = None

    def __call__(self, source: Path, folder: Path) -> None:
        self.sources.append(source.read_bytes())
        folder.mkdir()
        for name, content in FILES.items():
            (folder / name).write_text(content)
            if self.failure is not None:
                raise self.failure


@pytest.fixture
def converter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Converter:
    """A bundled model "tiny" whose wheel is on the disk, and an empty cache."""
    path, entry = tiny_gguf.write_wheel(tmp_path, b"gguf")
    monkeypatch.setitem(BUNDLED, "tiny", entry)
    monkeypatch.setenv(wheel.WHEEL_VARIABLE, str(path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fake = Converter()
    monkeypatch.setattr(convert, "convert_gguf", fake)
    return fake


def models() -> Path:
    return cache_root() / "models"


def visible() -> list[str]:
    return sorted(path.name for path in models().iterdir())


def test_a_model_is_converted_once(converter: Converter) -> None:
    lines: list[str] = []
    assert bundled_ready("tiny") is None
    folder = ensure_bundled("tiny", lines.append)
    assert lines == ["reading tiny_model-1.0-py3-none-any.whl", "converting Q4_1 to bf16 safetensors"]
    assert bundled_ready("tiny") == folder
    assert ensure_bundled("tiny", lines.append) == folder
    assert len(lines) == 2
    assert converter.sources == [b"gguf"]
    assert visible() == [folder.name, f"{folder.name}.lock"]
    assert models().stat().st_mode & 0o777 == 0o700


def test_the_seal_says_where_the_model_comes_from(converter: Converter) -> None:
    folder = ensure_bundled("tiny")
    seal = json.loads((folder / "complete.json").read_text())
    assert seal["label"] == "Tiny (Q4_1, dequantised)"
    assert seal["license"] == "Apache-2.0"
    assert seal["source"]["sha256"] == BUNDLED["tiny"].sha256
    assert seal["source"]["member"] == tiny_gguf.MEMBER
    assert seal["files"].keys() == FILES.keys()
    for name, entry in seal["files"].items():
        assert entry == {"bytes": len(FILES[name]), "sha256": wheel.sha256_of(folder / name)}


def test_another_converter_converts_anew(converter: Converter, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ensure_bundled("tiny")
    monkeypatch.setattr(convert, "CONVERTER_VERSION", convert.CONVERTER_VERSION + 1)
    assert bundled_ready("tiny") is None
    assert ensure_bundled("tiny") != first
    assert len(converter.sources) == 2


def tear_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_text("weig")


def remove_file(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def remove_seal(folder: Path) -> None:
    (folder / "complete.json").unlink()


def tear_seal(folder: Path) -> None:
    (folder / "complete.json").write_text('{"files": {"model')


def empty_seal(folder: Path) -> None:
    (folder / "complete.json").write_text("[]")


@pytest.mark.parametrize("damage", [tear_weights, remove_file, remove_seal, tear_seal, empty_seal])
def test_a_torn_folder_is_not_trusted_and_is_replaced(converter: Converter, damage: Any) -> None:
    folder = ensure_bundled("tiny")
    damage(folder)
    assert bundled_ready("tiny") is None
    assert ensure_bundled("tiny") == folder
    assert bundled_ready("tiny") == folder
    assert (folder / "model.safetensors").read_text() == "weights"
    assert visible() == [folder.name, f"{folder.name}.lock"]


def test_a_failed_conversion_leaves_nothing(converter: Converter) -> None:
    converter.failure = KeyError("blk.0.unknown")
    with pytest.raises(KeyError):
        ensure_bundled("tiny")
    assert bundled_ready("tiny") is None
    assert [name for name in visible() if not name.endswith(".lock")] == []
    converter.failure = None
    assert ensure_bundled("tiny") == bundled_ready("tiny")


def test_leftovers_of_the_dead_are_removed(converter: Converter) -> None:
    folder = ensure_bundled("tiny")
    remove_seal(folder)
    leftover = folder.with_name(f".{folder.name}.abcd")
    (leftover / "wheel").mkdir(parents=True)
    (leftover / "wheel" / "half.whl").write_text("half")
    strangers = models() / ".other-model-v1-00000000.abcd"
    strangers.mkdir()
    ensure_bundled("tiny")
    assert not leftover.exists()
    assert strangers.exists()


def test_a_changed_wheel_of_the_users_is_refused_and_kept(
    converter: Converter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = tmp_path / "changed.whl"
    changed.write_bytes(b"PK changed")
    monkeypatch.setenv(wheel.WHEEL_VARIABLE, str(changed))
    with pytest.raises(LabError) as caught:
        ensure_bundled("tiny")
    assert BUNDLED["tiny"].sha256 in str(caught.value)
    assert wheel.sha256_of(changed) in str(caught.value)
    assert changed.exists()
    assert bundled_ready("tiny") is None
    assert converter.sources == []


def test_a_changed_download_is_refused_and_deleted(converter: Converter, monkeypatch: pytest.MonkeyPatch) -> None:
    downloads: list[Path] = []

    def download(distribution: str, version: str, folder: Path, keep_open: list[int]) -> Path:
        folder.mkdir()
        downloads.append(folder / "tiny_model-1.0-py3-none-any.whl")
        downloads[0].write_bytes(b"PK changed")
        return downloads[0]

    monkeypatch.delenv(wheel.WHEEL_VARIABLE)
    monkeypatch.setattr(wheel, "download", download)
    lines: list[str] = []
    with pytest.raises(LabError, match=r"only \w+ is trusted"):
        ensure_bundled("tiny", lines.append)
    assert lines == ["fetching tiny-model 1.0 (0 MB)"]
    assert not downloads[0].exists()
    assert bundled_ready("tiny") is None
    assert converter.sources == []


def test_too_little_space_is_told_before_anything_is_fetched(
    converter: Converter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 900_000})())
    lines: list[str] = []
    with pytest.raises(OutOfSpaceError, match=r"needs 1\.00 MB .* has 900 kB free"):
        ensure_bundled("tiny", lines.append)
    assert lines == []


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "is full"), (errno.EDQUOT, "is full"), (errno.EROFS, "cannot be written")]
)
def test_a_disk_that_refuses_half_way(converter: Converter, number: int, words: str) -> None:
    converter.failure = OSError(number, os.strerror(number))
    with pytest.raises(OutOfSpaceError, match=words) as caught:
        ensure_bundled("tiny")
    assert "XDG_CACHE_HOME" in caught.value.remedy
    assert bundled_ready("tiny") is None


def test_a_cache_that_is_a_file_is_refused(
    converter: Converter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert bundled_ready("tiny") is None
    with pytest.raises(OutOfSpaceError, match="cannot be written"):
        ensure_bundled("tiny")


@pytest.fixture
def held_lock(converter: Converter) -> Iterator[int]:
    """The lock of "tiny", held as another process would: `flock` belongs to the open file."""
    folder = bundled._folder("tiny")
    folder.parent.mkdir(parents=True)
    handle = os.open(folder.with_name(f"{folder.name}.lock"), os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)
    yield handle
    os.close(handle)


def test_the_second_waits_says_so_and_finds_it_done(converter: Converter, held_lock: int) -> None:
    lines: list[str] = []
    waiting = threading.Event()

    def progress(line: str) -> None:
        lines.append(line)
        waiting.set()

    waiter = threading.Thread(target=ensure_bundled, args=("tiny", progress), daemon=True)
    waiter.start()
    assert waiting.wait(10)
    assert converter.sources == []
    bundled._prepare(BUNDLED["tiny"], bundled._folder("tiny"), lambda line: None, held_lock)  # the holder's work
    fcntl.flock(held_lock, fcntl.LOCK_UN)
    waiter.join(10)
    assert lines == ["waiting for another process that is preparing tiny"]
    assert len(converter.sources) == 1


def test_an_unknown_name_gets_a_suggestion() -> None:
    for call in (bundled_ready, ensure_bundled):
        with pytest.raises(NotFoundError) as caught:
            call("smollm2-135-instruct")
        assert "Did you mean 'smollm2-135m-instruct'?" in caught.value.problem
        assert "bundled:smollm2-135m-instruct" in caught.value.remedy


def test_asking_whether_it_is_ready_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from lab.modeling.bundled import bundled_ready;"
        "assert bundled_ready('smollm2-135m-instruct') is None;"
        "heavy = {'torch', 'transformers', 'numpy', 'gguf', 'safetensors', 'huggingface_hub'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)})

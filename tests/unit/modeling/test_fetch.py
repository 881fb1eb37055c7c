"""Downloading a model from a hub on loopback: what is taken, what is left, what goes on, what is refused."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants

from lab.errors import NotFoundError, OutOfSpaceError
from lab.modeling import fetch
from lab.modeling.fetch import fetch_model
from lab.modeling.source import ModelSource, resolve_model
from tests.fixtures.hub_files import COMMIT, FileHub

TEXTS = {"config.json": b"{}", "tokenizer.json": b"{}", "tokenizer.model": b"spm", "chat_template.jinja": b"{{ x }}"}
EXTRAS = {
    "README.md": b"# hello",
    "model.py": b"code",
    "consolidated.safetensors": b"the same again",
    "original/params.json": b"{}",
    "onnx/model.onnx": b"other",
    "flax_model.msgpack": b"other",
}
SHARDS = {
    "model-00001-of-00002.safetensors": b"a" * 4000,
    "model-00002-of-00002.safetensors": b"b" * 4000,
    "model.safetensors.index.json": b'{"weight_map": {"a": "model-00001-of-00002.safetensors",'
    b' "b": "model-00002-of-00002.safetensors"}}',
}
Serve = Callable[[dict[str, bytes]], FileHub]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Serve]:
    """Return a function that serves files as someone/model to an empty cache."""
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    huggingface_hub.close_session()
    hubs: list[FileHub] = []

    def start(files: dict[str, bytes]) -> FileHub:
        hub = FileHub("someone/model", files).__enter__()
        hubs.append(hub)
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        return hub

    yield start
    for hub in hubs:
        hub.__exit__()
    huggingface_hub.close_session()


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


SOURCE = ModelSource("hub", "someone/model", "main", COMMIT, "someone/model")


def test_safetensors_and_texts_are_taken_and_nothing_else(serve: Serve) -> None:
    hub = serve({**TEXTS, **SHARDS, **EXTRAS, "pytorch_model.bin": b"pickle"})
    said: list[str] = []
    folder = fetch_model(resolve_model("someone/model"), progress=said.append)
    assert folder.name == COMMIT
    assert names(folder) == set(TEXTS) | set(SHARDS)
    assert said == ["downloading 7 files, 8 kB"]
    sent = len(hub.sent)
    assert fetch_model(resolve_model("someone/model"), progress=said.append) == folder
    assert (len(hub.sent), len(said)) == (sent, 1)  # it is all there


def test_pickled_weights_are_taken_for_want_of_others_and_code_if_it_is_trusted(serve: Serve) -> None:
    serve({**TEXTS, **EXTRAS, "pytorch_model.bin": b"pickle"} | {"consolidated.safetensors": b"elsewhere"})
    folder = fetch_model(SOURCE, code=True)
    assert names(folder) == {*TEXTS, "pytorch_model.bin", "model.py"}


def test_a_broken_download_goes_on_where_it_broke(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1024)
    hub = serve({**TEXTS, "model.safetensors": bytes(range(256)) * 40})
    hub.cut.add("model.safetensors")
    folder = fetch_model(SOURCE)
    assert (folder / "model.safetensors").read_bytes() == hub.files["model.safetensors"]
    begun = [begin for name, begin in hub.sent if name == "model.safetensors"]
    assert begun == [0, 5120]


def test_without_the_hub_what_was_fetched_serves(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = serve({**TEXTS, **SHARDS})
    folder = fetch_model(SOURCE)
    sent = len(hub.sent)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fetch_model(SOURCE) == folder
    assert len(hub.sent) == sent


def test_without_the_hub_half_a_model_is_refused(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    serve({**TEXTS, **SHARDS})
    folder = fetch_model(SOURCE)
    (folder / "model-00002-of-00002.safetensors").unlink()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(NotFoundError, match=r"The download of someone/model is not whole"):
        fetch_model(SOURCE)


def test_an_index_that_names_more_than_the_hub_has_is_refused(serve: Serve) -> None:
    serve({**TEXTS, **SHARDS} | {"model-00002-of-00002.safetensors": b""})
    with pytest.raises(NotFoundError, match="it lacks the weights file model-00002-of-00002"):
        fetch_model(SOURCE)


def test_a_model_that_is_gone_is_told_as_the_hub_tells_it(serve: Serve) -> None:
    serve(TEXTS)
    with pytest.raises(NotFoundError, match="someone/else"):
        fetch_model(ModelSource("hub", "someone/else", "main", COMMIT, "someone/else"))


def test_a_disk_without_room_is_refused_before_anything_is_sent(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = serve({**TEXTS, **SHARDS})
    usage = type("Usage", (), {"free": 8000})
    monkeypatch.setattr(fetch.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(OutOfSpaceError, match="8 kB are missing, 8 kB are free") as caught:
        fetch_model(SOURCE)
    assert "HF_HOME" in caught.value.remedy
    assert hub.sent == []


def test_a_disk_that_fills_up_meanwhile_is_told(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    serve({**TEXTS, **SHARDS})
    real = huggingface_hub.snapshot_download

    def full(*arguments: object, dry_run: bool = False, **keys: object) -> object:
        if dry_run:
            return real(*arguments, dry_run=True, **keys)  # type: ignore[arg-type]
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", full)
    with pytest.raises(OutOfSpaceError):
        fetch_model(SOURCE)


@pytest.mark.parametrize("kind", ["path", "bundled"])
def test_what_is_no_hub_model_is_where_it_is(kind: str, tmp_path: Path) -> None:
    assert fetch_model(ModelSource(kind, str(tmp_path), None, None, "x")) == tmp_path  # type: ignore[arg-type]

"""Model names: bundled, folder, hub; the hub's refusals from a small server on loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants

from lab.errors import LabError, NotFoundError, UsageError
from lab.modeling import source
from lab.modeling.bundled import BUNDLED
from lab.modeling.source import ModelSource, check_model_name, resolve_model
from tests.fixtures.hub_server import HubServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = ["config.json", "model.safetensors", "tokenizer.json"]


def make_model(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_text("weights")
    return folder


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    """A hub on loopback with one model, no token, an empty local cache."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    huggingface_hub.close_session()
    with HubServer() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        server.add("model", "someone/model", commit=COMMIT, files=FILES)
        yield server
    huggingface_hub.close_session()


def cache_model(tmp_path: Path, repo_id: str, *, weights: bool = True) -> None:
    """Lay the hub's local cache out as a download of `main` leaves it."""
    folder = tmp_path / "hub" / ("models--" + repo_id.replace("/", "--"))
    snapshot = make_model(folder / "snapshots" / COMMIT)
    if not weights:
        (snapshot / "model.safetensors").unlink()
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(COMMIT)


@pytest.mark.parametrize(
    "name", ["bundled:smollm2-135m-instruct", "gpt2", "meta-llama/Llama-3.2-1B-Instruct", "a/b_c.d-e", "x"]
)
def test_names_that_may_work(name: str) -> None:
    check_model_name(name)


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("bundled:smollm2-135m", NotFoundError, "Did you mean 'smollm2-135m-instruct'"),
        ("bundled:", NotFoundError, "no bundled model ''"),
        ("smollm2-135m-instruct", NotFoundError, "Set model.name to 'bundled:smollm2-135m-instruct'"),
        ("bundle:smollm2-135m-instruct", UsageError, "Did you mean 'bundled:smollm2-135m-instruct'"),
        ("./absent", NotFoundError, "folder './absent' does not exist"),
        ("../absent", NotFoundError, "does not exist"),
        ("/absent/model", NotFoundError, "does not exist"),
        ("~/absent-model", NotFoundError, "does not exist"),
        ("absent/deep/model", UsageError, "neither a folder nor a hub id"),
        ("owner/", UsageError, "neither a folder nor a hub id"),
        ("owner/name.", UsageError, "neither a folder nor a hub id"),
        ("owner/na--me", UsageError, "neither a folder nor a hub id"),
        ("owner/name.git", UsageError, "neither a folder nor a hub id"),
        ("owner/näme", UsageError, "neither a folder nor a hub id"),
        ("owner/" + "n" * 300, UsageError, "neither a folder nor a hub id"),
        ("two words", UsageError, "neither a folder nor a hub id"),
        ("a\x00b", UsageError, "neither a folder nor a hub id"),
        ("\x1b]0;title\x07evil name", UsageError, "'evil name' is neither"),
    ],
)
def test_names_that_cannot_work(
    name: str, error: type[LabError], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for call in (check_model_name, resolve_model):
        with pytest.raises(error) as caught:
            call(name)
        assert words in str(caught.value)
        assert type(caught.value) is error
        assert "\x1b" not in str(caught.value)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    with pytest.raises(NotFoundError) as caught:
        check_model_name(str(folder))
    assert "lacks weights" in caught.value.problem
    assert "save_pretrained" in caught.value.remedy


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(NotFoundError, match="is a file"):
        check_model_name(str(tmp_path / "model.safetensors"))


@pytest.mark.parametrize("name", ["./model", "model", "~/model"])
def test_a_folder_is_named_absolutely(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_model(tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve_model(name) == ModelSource("path", str(folder), None, None, "model")


def test_only_a_hub_model_has_revisions(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "model")
    for name in (str(folder), "bundled:smollm2-135m-instruct"):
        with pytest.raises(UsageError, match=r"Remove model\.revision"):
            resolve_model(name, "v2")


def test_a_bundled_model_is_prepared_and_labelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def ensure(name: str, progress: object) -> Path:
        asked.append(name)
        return tmp_path

    monkeypatch.setattr(source, "ensure_bundled", ensure)
    found = resolve_model("bundled:smollm2-135m-instruct", "main")
    sha256 = BUNDLED["smollm2-135m-instruct"].sha256
    assert found == ModelSource("bundled", str(tmp_path), None, sha256, "SmolLM2-135M-Instruct (Q4_1, dequantised)")
    assert found.load_revision is None
    assert asked == ["smollm2-135m-instruct"]


def test_a_hub_model_is_pinned_to_its_commit(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    found = resolve_model("someone/model", "main")
    assert found == ModelSource("hub", "someone/model", "main", COMMIT, "someone/model")
    assert found.load_revision == COMMIT
    assert hub.requests == [("/api/models/someone/model/revision/main", "hf_secret")]


def test_a_gated_model_whose_files_may_be_read(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_good")
    hub.add("model", "meta/gated", commit=COMMIT, files=FILES, gated="manual", readers=frozenset({"hf_good"}))
    assert resolve_model("meta/gated").commit == COMMIT


@pytest.mark.parametrize(
    ("token", "problem", "remedy"),
    [
        (
            None,
            "is gated, and no token is set",
            "Accept its terms on https://huggingface.co/meta/gated, then set HF_TOKEN",
        ),
        ("hf_other", "HF_TOKEN's account may not read it", "Ask for access on https://huggingface.co/meta/gated"),
    ],
)
def test_a_gated_model_names_the_page_and_the_variable(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch, token: str | None, problem: str, remedy: str
) -> None:
    """The hub describes a gated model to anyone: what tells is whether its files may be read."""
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    hub.add("model", "meta/gated", commit=COMMIT, files=FILES, gated="manual", readers=frozenset({"hf_good"}))
    with pytest.raises(NotFoundError) as caught:
        resolve_model("meta/gated")
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("status", "code", "message", "error", "problem", "remedy"),
    [
        (403, "GatedRepo", None, NotFoundError, "is gated", "https://huggingface.co/other/model"),
        (401, None, "Invalid username or password.", NotFoundError, "and no token is set", "set HF_TOKEN"),
        (404, "RepoNotFound", None, NotFoundError, "no model 'other/model'", "https://huggingface.co/other/model"),
        (
            404,
            "RevisionNotFound",
            None,
            NotFoundError,
            "no revision 'main'",
            "https://huggingface.co/other/model/commits",
        ),
        (401, None, "Invalid credentials in Authorization header", NotFoundError, "not accept the token", "HF_TOKEN"),
        (403, None, "Forbidden", LabError, "status 403", "Try again later"),
        (429, None, None, LabError, "status 429", "Try again later"),
        (500, None, None, LabError, "status 500", "Try again later"),
        (200, None, None, NotFoundError, "lacks a config.json", "model with weights"),
    ],
)
def test_the_hubs_refusals_in_two_sentences(
    hub: HubServer,
    status: int,
    code: str | None,
    message: str | None,
    error: type[LabError],
    problem: str,
    remedy: str,
) -> None:
    if status == 200:
        hub.add("model", "other/model", commit=COMMIT, files=["README.md", "model.gguf"])
    else:
        hub.refuse("other/model", status, code, message)
    with pytest.raises(LabError) as caught:
        resolve_model("other/model")
    assert type(caught.value) is error
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy
    assert caught.value.problem.endswith(".")
    assert "\n" not in str(caught.value)


def test_a_missing_model_is_told_the_same_with_and_without_a_token(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotFoundError, match="no model 'no/such', or it is private and no token is set"):
        resolve_model("no/such")
    monkeypatch.setenv("HF_TOKEN", "hf_good")
    with pytest.raises(NotFoundError, match=r"no model 'no/such', or it is private\."):
        resolve_model("no/such")


def test_a_revision_that_is_not_there(hub: HubServer) -> None:
    with pytest.raises(NotFoundError, match="no revision 'v9'"):
        resolve_model("someone/model", "v9")
    assert resolve_model("someone/model", COMMIT).commit == COMMIT


def test_offline_takes_the_local_cache(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(NotFoundError, match="HF_HUB_OFFLINE is set, and 'someone/model' at 'main' is not in the local"):
        resolve_model("someone/model")
    cache_model(tmp_path, "someone/model")
    assert resolve_model("someone/model").commit == COMMIT
    cache_model(tmp_path, "someone/half", weights=False)
    with pytest.raises(NotFoundError, match="not in the local cache"):
        resolve_model("someone/half")
    assert hub.requests == []


def test_a_hub_out_of_reach_takes_the_local_cache(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:  # bound but not listening: connections are refused
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{closed.getsockname()[1]}")
        with pytest.raises(NotFoundError) as caught:
            resolve_model("someone/model")
        assert "The hub cannot be reached" in caught.value.problem
        cache_model(tmp_path, "someone/model")
        assert resolve_model("someone/model").commit == COMMIT


def test_what_is_no_hub_is_told(hub: HubServer) -> None:
    hub.refuse("other/model", 200)
    hub.refusals["other/model"].body = b"<html>Please log in to the network</html>"
    with pytest.raises(LabError, match="is no hub"):
        resolve_model("other/model")


def test_checking_a_name_loads_nothing_heavy() -> None:
    code = (
        "import sys; from lab.modeling.source import check_model_name; check_model_name('owner/name');"
        "heavy = {'torch', 'transformers', 'numpy', 'gguf', 'safetensors', 'huggingface_hub'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)

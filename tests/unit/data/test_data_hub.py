"""Data sets from a hub on loopback, with the real client: commits, private sets, broken downloads, streams."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub
import pytest
from huggingface_hub import constants

from lab.data.prepare import prepare
from lab.data.read import read_rows
from lab.data.sources import commits_of
from lab.errors import LabError, NotFoundError
from lab.profile.schema import Data, Profile, Source
from tests.fixtures.hub_files import COMMIT, FileHub

ROWS = [{"prompt": f"question {n}", "completion": f"answer {n}"} for n in range(400)]
SET = "someone/set"
TRAIN = "data/train-00000.jsonl"
SHARDS = {f"data/train-0000{n}.jsonl": ROWS[100 * n : 100 * n + 100] for n in range(4)}

Serve = Callable[..., FileHub]


def lines(rows: list[dict[str, str]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Serve]:
    """Return a function that serves files as someone/set to an empty cache."""
    for name, value in {
        "HF_HUB_OFFLINE": False,
        "HF_TOKEN_PATH": str(tmp_path / "no-token"),
        "HF_HUB_CACHE": str(tmp_path / "hub"),
        "HF_HUB_DISABLE_XET": True,
        "DOWNLOAD_CHUNK_SIZE": 1000,
    }.items():
        monkeypatch.setattr(constants, name, value)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    datasets.disable_progress_bars()
    hubs: list[FileHub] = []

    def start(files: dict[str, bytes], **options: Any) -> FileHub:
        hub = FileHub(SET, {"README.md": b"", **files}, "datasets", **options).__enter__()
        hubs.append(hub)
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(datasets.config, "HF_ENDPOINT", hub.url)
        template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        huggingface_hub.close_session()
        huggingface_hub.HfFileSystem.clear_instance_cache()
        return hub

    yield start
    for hub in hubs:
        hub.__exit__()
    huggingface_hub.close_session()
    huggingface_hub.HfFileSystem.clear_instance_cache()


def data(**source: Any) -> Data:
    return Data(source=[Source(name=SET, **source)])


def test_a_set_is_read_at_the_commit_that_is_recorded(serve: Serve, chatml: Any) -> None:
    serve({TRAIN: lines(ROWS)})
    prepared = prepare(Profile(data=data(train=30, test=10)), chatml)
    (source,) = prepared.report["sources"]
    assert (source["commit"], source["read"], source["kept"]) == (COMMIT, 400, 40)


def test_a_download_that_breaks_off_goes_on_where_it_stopped(serve: Serve) -> None:
    hub = serve({TRAIN: lines(ROWS)})
    hub.cut.add(TRAIN)
    drawn = read_rows(data())
    assert len(drawn.splits["train"]) == 400
    begins = [begin for name, begin in hub.sent if name == TRAIN]
    assert begins[0] == 0
    assert begins[1] > 0


def test_a_private_set_takes_the_right_token(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    serve({TRAIN: lines(ROWS)}, reader="hf_right")
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    asked = data(train=5)
    assert commits_of(asked) == [COMMIT]
    assert len(read_rows(asked, commits_of(asked)).splits["train"]) == 5


@pytest.mark.parametrize("token", ["", "hf_wrong"])
def test_a_private_set_without_it(token: str, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    serve({TRAIN: lines(ROWS)}, reader="hf_right")
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    assert commits_of(data()) == [None]
    with pytest.raises(NotFoundError, match=r"no data set someone/set on the hub, or it is private\..*HF_TOKEN"):
        read_rows(data())


def test_the_splits_and_configurations_that_there_are_are_named(serve: Serve) -> None:
    serve({TRAIN: lines(ROWS), "data/test-00000.jsonl": lines(ROWS[:7])})
    assert len(read_rows(data(split="test")).splits["train"]) == 7
    with pytest.raises(LabError, match=r"has no split 'tset'\. Did you mean 'test'\?.*data\.source\.0\.split"):
        read_rows(data(split="tset"))
    with pytest.raises(LabError, match=r"has no configuration 'small'"):
        read_rows(data(config="small"))


def test_a_stream_takes_no_more_rows_than_asked_in_a_seeded_order(serve: Serve) -> None:
    serve({name: lines(rows) for name, rows in SHARDS.items()})

    def drawn(seed: int) -> list[str]:
        asked = Data(source=[Source(name=SET, stream=60, train=20, test=5)], seed=seed)
        found = read_rows(asked, commits_of(asked))
        assert found.tallies[0].read == 60
        assert [len(found.splits[name]) for name in ("train", "test")] == [20, 5]
        return sorted(row.reference for row in found.splits["train"])

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_a_stream_opens_only_some_of_many_files(serve: Serve) -> None:
    hub = serve({f"data/train-{n:05d}.jsonl": lines(ROWS[10 * n : 10 * n + 10]) for n in range(40)})
    read_rows(data(stream=10))
    assert len({name for name, _ in hub.sent if name.startswith("data/")}) < 20


def test_packed_files_are_read_too(serve: Serve) -> None:
    serve({"train.jsonl.gz": gzip.compress(lines(ROWS[:9]), mtime=0)})
    assert len(read_rows(data()).splits["train"]) == 9

"""Reading data beforehand: what is told of each source."""

from __future__ import annotations

import json
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants

from lab.data import read, sources
from lab.data.fetch import fetch_data
from lab.data.hub import dataset_commit
from lab.errors import NotFoundError
from lab.profile.schema import Data, Source
from tests.fixtures.hub_server import HubServer

COMMIT = "89abcdef0123456789abcdef0123456789abcdef"


def test_local_sources_are_read_and_have_no_commit(tmp_path: Path) -> None:
    rows = [{"prompt": f"question {n}", "completion": f"answer {n}"} for n in range(5)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = Data(source=[Source(name=str(path), test=2), Source(name="bundled:helpdesk", train=3)])
    assert fetch_data(data) == [
        {"name": str(path), "kind": "file", "rows": 5, "commit": None},
        {"name": "bundled:helpdesk", "kind": "bundled", "rows": 1100, "commit": None},
    ]


def test_a_hub_source_is_told_with_its_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"prompt": f"question {n}", "completion": f"answer {n}"} for n in range(5)]
    monkeypatch.setattr(read, "raw_rows", lambda index, source, split, **more: rows)
    monkeypatch.setattr(sources, "dataset_commit", lambda source: COMMIT)
    assert fetch_data(Data(source=[Source(name="some/set", train=3)])) == [
        {"name": "some/set", "kind": "hub", "rows": 5, "commit": COMMIT}
    ]


def test_data_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        fetch_data(Data(source=[Source(name=str(tmp_path / "none.jsonl"))]))


def test_the_commit_is_asked_of_the_hub_and_absent_where_it_does_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    huggingface_hub.close_session()
    with HubServer() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        hub.add("dataset", "some/set", commit=COMMIT, files=["data.parquet"])
        assert dataset_commit(Source(name="some/set")) == COMMIT
        assert dataset_commit(Source(name="some/other")) is None
        assert dataset_commit(Source(name="x" * 500)) is None
        asked = len(hub.requests)
        assert dataset_commit(Source(name="some/set", revision="1" * 40)) == "1" * 40
        assert len(hub.requests) == asked  # a commit is known by itself
    assert dataset_commit(Source(name="some/set")) is None  # gone
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert dataset_commit(Source(name="some/set")) is None
    huggingface_hub.close_session()

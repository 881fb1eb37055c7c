"""`lab fetch` as a command: checks before downloads, progress beside the result, JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.cli.app import run
from lab.modeling import fetch as models
from lab.modeling import source as sources
from lab.modeling.source import ModelSource
from lab.profile.schema import Model


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Let every model resolve to a folder; return the list of what was asked for."""
    asked: list[str] = []

    def resolve(name: str, revision: str, progress: object) -> ModelSource:
        asked.append(f"{name}@{revision}")
        return ModelSource("hub", name, revision, "0" * 40, name)

    def fetch_model(source: ModelSource, *, code: bool, progress: object) -> Path:
        asked.append(f"{source.label} code={code}")
        return tmp_path

    monkeypatch.setattr(sources, "resolve_model", resolve)
    monkeypatch.setattr(models, "fetch_model", fetch_model)
    for name in ("HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS"):
        monkeypatch.setenv(name, "1")
    return asked


def test_models_and_data_of_all_profiles_are_fetched(
    fetched: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(["fetch", "demo-lora", "demo-qlora", "--json", "--set", "model.name=some/model"]) == 0
    out, err = capsys.readouterr()
    lora, qlora = json.loads(out)["fetched"]
    assert (lora["profile"], qlora["profile"]) == ("demo-lora", "demo-qlora")
    assert lora["model"] == {"name": "some/model", "kind": "hub", "path": str(tmp_path), "commit": "0" * 40}
    assert lora["data"] == [{"name": "bundled:helpdesk", "kind": "bundled", "rows": 1100, "commit": None}]
    assert fetched == ["some/model@main", "some/model code=False"] * 2
    assert err.splitlines()[:2] == ["demo-lora: model some/model", "demo-lora: data bundled:helpdesk"]


def test_code_comes_only_where_it_is_trusted(fetched: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert Model().trust_remote_code is False
    sets = ["--set", "model.name=some/model", "--set", "model.trust_remote_code=true", "--set", "model.revision=v1"]
    assert run(["fetch", "demo-lora", *sets]) == 0
    assert fetched == ["some/model@v1", "some/model code=True"]
    assert capsys.readouterr().out.splitlines() == [
        "demo-lora",
        "  model  some/model",
        f"         {models.fetch_model(ModelSource('hub', 'a', None, None, 'a'), code=False, progress=print)}",
        "  data   bundled:helpdesk, 1,100 rows",
    ]


def test_nothing_is_fetched_where_a_later_profile_is_wrong(
    fetched: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["fetch", "demo-lora", "demo-lorra"]) == 3
    assert "Did you mean" in capsys.readouterr().err
    assert run(["fetch", "demo-lora", "--set", "data.source.0.name=/no/such.jsonl"]) == 3
    assert fetched == []

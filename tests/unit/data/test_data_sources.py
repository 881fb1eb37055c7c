from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lab.data.hub import explain
from lab.data.sources import check_sources, labels, raw_rows, source_kind
from lab.errors import DataError, LabError, NotFoundError
from lab.profile.schema import Data, Source


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "rows.txt").write_text("a")
    (tmp_path / "sub").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bundled:helpdesk", "bundled"),
        ("rows.jsonl", "file"),
        ("rows.jsnl", "file"),
        ("data/rows.jsno", "file"),
        ("data/rows.parqet", "file"),
        ("notes.md", "file"),
        ("rows.tsv", "file"),
        ("owner/set-v1.1", "hub"),
        ("owner/set.en", "hub"),
        ("squad_v1.1", "hub"),
        ("elsewhere.parquet", "file"),
        ("./rows", "file"),
        ("~/rows", "file"),
        ("rows.txt", "file"),
        ("sub", "file"),
        ("tatsu-lab/alpaca", "hub"),
        ("squad", "hub"),
        ("x" * 5000, "hub"),
    ],
)
def test_what_a_name_stands_for(name: str, expected: str, folder: Path) -> None:
    assert source_kind(Source(name=name)) == expected


@pytest.mark.parametrize("name", ["bundled:helpdesk", "rows.jsonl", "./rows.jsonl", "tatsu-lab/alpaca", "squad"])
def test_what_can_be_read_passes(name: str, folder: Path) -> None:
    check_sources(Data(source=[Source(name=name)]))


REFUSED: dict[str, tuple[dict[str, Any], type[LabError], str, str]] = {
    "missing file": (
        {"name": "row.jsonl"},
        NotFoundError,
        "no data file 'row.jsonl'.*'rows.jsonl'",
        "data.source.0.name",
    ),
    "misspelt extension": (
        {"name": "rows.jsnl"},
        NotFoundError,
        "no data file 'rows.jsnl'. Did you mean 'rows.jsonl'",
        "data.source.0.name",
    ),
    "a stream of a file": ({"name": "rows.jsonl", "stream": 5}, DataError, "stream = 5 means nothing", "Remove"),
    "missing folder": ({"name": "no/rows.jsonl"}, NotFoundError, "no data file 'no/rows.jsonl'", "data.source.0.name"),
    "empty file": ({"name": "empty.jsonl"}, DataError, "'empty.jsonl' is empty", "data.source.0.name"),
    "folder": ({"name": "./sub"}, DataError, "is a folder", "data.source.0.name"),
    "extension": ({"name": "rows.txt"}, DataError, "extension that the lab does not read", ".jsonl"),
    "unknown set": (
        {"name": "bundled:helpdask"},
        NotFoundError,
        "'helpdask'. Did you mean 'helpdesk'",
        "bundled:helpdesk",
    ),
    "no prefix": ({"name": "helpdesk"}, NotFoundError, "needs its prefix", "bundled:helpdesk"),
    "no hub name": (
        {"name": "a b/c"},
        DataError,
        "neither a file nor the name of a hub data set",
        "data.source.0.name",
    ),
    "poison": ({"name": "\x1b[31mred"}, DataError, "'red' is neither", "data.source.0.name"),
    "split of a file": (
        {"name": "rows.jsonl", "split": "test"},
        DataError,
        "data.source.0.split = test means",
        "Remove",
    ),
    "revision of a set": ({"name": "bundled:helpdesk", "revision": "v1"}, DataError, "revision = v1 means", "Remove"),
    "columns of a set": (
        {"name": "bundled:helpdesk", "columns": {"a": "b"}},
        DataError,
        "columns = .* means",
        "Remove",
    ),
    "format of a set": (
        {"name": "bundled:helpdesk", "format": "alpaca"},
        DataError,
        'not "alpaca"',
        "data.source.0.format",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_refused_before_anything_starts(case: str, folder: Path) -> None:
    values, kind, problem, remedy = REFUSED[case]
    with pytest.raises(kind, match=problem) as error:
        check_sources(Data(source=[Source(**values)]))
    assert remedy in error.value.remedy
    assert "\x1b" not in str(error.value)


def test_a_missing_template_file_is_refused(folder: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no template file 'chat\.jinja'.*data\.template"):
        check_sources(Data(source=[Source(name="rows.jsonl")], template="chat.jinja"))


def test_labels_are_short_and_unique() -> None:
    names = ["a/rows.jsonl", "b/rows.jsonl", "tatsu-lab/alpaca", "bundled:helpdesk"]
    assert labels([Source(name=name) for name in names]) == ["rows.jsonl.0", "rows.jsonl.1", "alpaca", "helpdesk"]


def test_bundled_sets_give_their_own_splits() -> None:
    source = Source(name="bundled:helpdesk")
    assert len(raw_rows(0, source, "test")) == 200
    assert len(raw_rows(0, source, "train")) == 800


def test_checking_and_reading_load_nothing_heavy(folder: Path) -> None:
    code = (
        "import sys, lab.data.prepare\n"
        "from lab.data.read import read_rows\n"
        "from lab.profile.schema import Data, Source\n"
        "read_rows(Data(source=[Source(name='rows.jsonl'), Source(name='bundled:helpdesk')]))\n"
        "print([m for m in ('torch', 'transformers', 'datasets', 'pyarrow', 'jinja2', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


HUB: dict[str, tuple[Exception, type[LabError], str, str]] = {
    "offline": (
        ConnectionError("Couldn't reach 'o/set' on the Hub (LocalEntryNotFoundError)"),
        LabError,
        "o/set is not on this machine and the hub cannot be reached",
        "lab fetch",
    ),
    "gated": (
        FileNotFoundError("Dataset 'o/set' is a gated dataset on the Hub. You must be authenticated to access it."),
        NotFoundError,
        "o/set is gated",
        "https://huggingface.co/datasets/o/set and set HF_TOKEN",
    ),
    "revision": (
        FileNotFoundError("Revision 'v9' doesn't exist for dataset 'o/set' on the Hub."),
        NotFoundError,
        "o/set has no revision 'v9'",
        "data.source.3.revision",
    ),
    "configuration": (
        ValueError("BuilderConfig 'smol' not found. Available: ['small', 'large']"),
        DataError,
        "o/set has no configuration 'smol'. Did you mean 'small'?",
        "data.source.3.config to one of: small, large",
    ),
    "no configuration": (
        ValueError("Config name is missing.\nPlease pick one among the available configs: ['small', 'large']\nExample"),
        DataError,
        "o/set has several configurations.",
        "data.source.3.config to one of: small, large",
    ),
    "split": (
        ValueError("Unknown split \"tarin\". Should be one of ['train', 'test']."),
        DataError,
        "o/set has no split 'tarin'. Did you mean 'train'?",
        "data.source.3.split to one of: train, test",
    ),
    "script": (
        RuntimeError("Dataset scripts are no longer supported, but found set.py\x1b]0;x\x07"),
        DataError,
        "o/set cannot be loaded (Dataset scripts are no longer supported, but found set.py).",
        "data.source.3.name",
    ),
}


@pytest.mark.parametrize("case", HUB)
def test_what_the_hub_refuses_is_said_in_two_sentences(case: str) -> None:
    raised, kind, problem, remedy = HUB[case]
    source = Source(name="o/set", config="smol", split="tarin", revision="v9")
    error = explain(raised, 3, source)
    assert type(error) is kind
    assert problem in error.problem
    assert remedy in error.remedy


def test_a_missing_set_by_the_librarys_own_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def missing(*args: Any, **kwargs: Any) -> None:
        raise datasets.exceptions.DatasetNotFoundError(
            "Dataset 'o/set' doesn't exist on the Hub or cannot be accessed."
        )

    monkeypatch.setattr(datasets, "load_dataset", missing)
    with pytest.raises(NotFoundError, match=r"no data set o/set on the hub, or it is private.*HF_TOKEN"):
        raw_rows(0, Source(name="o/set"), "train")


def test_hub_rows_are_asked_for_by_configuration_split_and_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    asked: list[Any] = []

    def load(*args: Any, **kwargs: Any) -> Any:
        asked.append((args, kwargs))
        return datasets.Dataset.from_list([{"a": 1}])

    monkeypatch.setattr(datasets, "load_dataset", load)
    source = Source(name="o/set", config="small", split="test", revision="v1")
    assert raw_rows(0, source, "test") == [{"a": 1}]
    raw_rows(0, Source(name="o/set"), "train")
    assert asked == [
        (("o/set", "small"), {"split": "test", "revision": "v1"}),
        (("o/set", None), {"split": "train", "revision": "main"}),
    ]


def test_the_real_library_offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    with pytest.raises(LabError, match=r"lab-no-such-owner/set is not on this machine and the hub cannot be reached\."):
        raw_rows(0, Source(name="lab-no-such-owner/set"), "train")


def test_a_hub_split_without_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets, "load_dataset", lambda *args, **kwargs: datasets.Dataset.from_list([]))
    with pytest.raises(DataError, match=r"o/set has no rows in split 'test'\. Set data\.source\.1\.split\."):
        raw_rows(1, Source(name="o/set", split="test"), "test")

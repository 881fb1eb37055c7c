"""What two runs differ in, and which class each difference has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.compare.checks import CHECKS
from lab.compare.diff import level_of, profile_diff, run_diff
from lab.compare.trees import at
from lab.profile.schema import Profile
from lab.runs.store import RunInfo, read_run
from tests.fixtures.folders import make_run

TREE = Profile().model_dump()


def infos(root: Path, **changes: dict[str, Any]) -> tuple[RunInfo, RunInfo]:
    """Return two runs, the second with `changes`, as `make_run` takes them."""
    first, second = (
        read_run(make_run(root, "lora", metrics=None)),
        read_run(make_run(root, "b", metrics=None, **changes)),
    )
    assert first is not None
    assert second is not None
    return first, second


def test_values_that_differ_or_stand_on_one_side() -> None:
    first = {"a": {"b": 1, "c": [1, 2]}, "d": "x", "rows": [{"n": 1}, {"n": 2}]}
    second = {"a": {"b": 2, "c": [1, 2]}, "e": False, "rows": [{"n": 1}]}
    assert profile_diff(first, second) == [
        ("a.b", 1, 2),
        ("d", "x", None),
        ("rows.1.n", 2, None),
        ("e", None, False),
    ]


def test_equal_trees_have_no_differences() -> None:
    assert profile_diff({"a": {"b": 1}}, {"a": {"b": 1}}) == []
    assert profile_diff({}, {}) == []


def test_a_missing_tree_lacks_every_key() -> None:
    assert profile_diff({"a": {"b": 1}}, {}) == [("a.b", 1, None)]


@pytest.mark.parametrize(
    ("section", "key", "level"),
    [
        ("profile", "method.kind", "treatment"),
        ("profile", "method.rank", "treatment"),
        ("profile", "model.quantization", "treatment"),
        ("profile", "train.learning_rate", "confounding"),
        ("profile", "train.seed", "confounding"),
        ("profile", "train.epochs", "confounding"),
        ("profile", "train.micro_batch", "confounding"),
        ("profile", "model.name", "confounding"),
        ("profile", "data.source.0.train", "confounding"),
        ("profile", "data.source.0.test", "blocking"),
        ("profile", "data.template", "blocking"),
        ("profile", "data.system_prompt", "blocking"),
        ("profile", "evaluate.rows", "blocking"),
        ("profile", "evaluate.temperature", "blocking"),
        ("profile", "evaluate.weights", "blocking"),
        ("profile", "evaluate.metrics", ""),
        ("profile", "evaluate.batch_size", ""),
        ("profile", "train.save_every", ""),
        ("profile", "description", ""),
        ("environment", "packages.torch", "confounding"),
        ("environment", "packages.rich", ""),
        ("environment", "gpu.name", "confounding"),
        ("environment", "model.quantization", "treatment"),
        ("environment", "model.dtype", "confounding"),
        ("environment", "host.name", ""),
        ("data", "splits.test.hash", "blocking"),
        ("data", "template.hash", "blocking"),
        ("data", "splits.train.hash", "confounding"),
        ("data", "sources.0.read", ""),
    ],
)
def test_levels(section: str, key: str, level: str) -> None:
    assert level_of(section, key) == level


@pytest.mark.parametrize(
    ("section", "key", "axis"),
    [
        ("profile", "train.learning_rate", "train.learning_rate"),
        ("profile", "data.source.0.test", "data.source"),
        ("environment", "model.commit", "model.name"),
        ("data", "splits.train.hash", "data.source.0.train"),
    ],
)
def test_an_axis_makes_it_the_treatment(section: str, key: str, axis: str) -> None:
    assert level_of(section, key) != "treatment"
    assert level_of(section, key, (axis,)) == "treatment"


def test_the_schema_has_every_key_that_is_checked() -> None:
    keys = [check.key for check in CHECKS if check.key.partition(".")[0] in TREE]
    assert keys
    assert [key for key in keys if at(TREE, key) is None] == []


def test_sections_in_order_and_noise_left_out(tmp_path: Path) -> None:
    pair = infos(
        tmp_path,
        profile={"train": {"seed": 1}},
        environment={"argv": ["x"], "gpu": {"name": "H100", "uuid": "GPU-1"}},
        data={"splits": {"test": {"hash": "z"}}, "example": [{"text": "hi"}]},
    )
    found = [(line.section, line.key, line.first, line.second, line.level) for line in run_diff(*pair)]
    assert found == [
        ("profile", "train.seed", 42, 1, "confounding"),
        ("environment", "gpu.name", None, "H100", "confounding"),
        ("data", "splits.test.hash", "bbbb2222", "z", "blocking"),
    ]


def test_axes_are_the_treatment(tmp_path: Path) -> None:
    pair = infos(tmp_path, profile={"train": {"seed": 1}})
    assert [line.level for line in run_diff(*pair, axes=["train.seed"])] == ["treatment"]


def test_equal_runs_and_runs_without_files(tmp_path: Path) -> None:
    first, second = infos(tmp_path)
    assert run_diff(first, second) == []
    for path in (second.run.profile, second.run.environment, second.run.data):
        path.unlink()
    assert run_diff(first, second) != []
    assert [line for line in run_diff(first, second) if line.second is not None] == []


def test_values_are_clean(tmp_path: Path) -> None:
    pair = infos(tmp_path, environment={"gpu": {"name": "\x1b]0;owned\x07H\u202e100"}})
    assert "H100" in [line.second for line in run_diff(*pair)]
    assert "\\x1b" not in str([line.as_json() for line in run_diff(*pair)])

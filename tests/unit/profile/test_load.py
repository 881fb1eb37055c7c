"""Defaults < parent < file < flag, and what cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli

from lab.errors import NotFoundError, ProfileError
from lab.profile.dump import to_toml
from lab.profile.load import find_profile, list_profiles, load_profile, merge, parse_assignment, resolve
from lab.profile.schema import Profile

Write = Callable[[str, str], Path]
SOURCE = '[[data.source]]\nname = "bundled:helpdesk"\n'
TREE: dict[str, Any] = {"data": {"source": [{"name": "bundled:helpdesk"}]}}


def test_later_layers_win_and_each_value_names_its_layer_file_and_line(write: Write) -> None:
    write("base", "[train]\nepochs = 5\nseed = 5\nsave_every = 5\n\n" + SOURCE)
    write("mine", 'extends = "base"\n\n[train]\nseed = 6\nsave_every = 6\n')
    found = load_profile("mine", ["train.save_every=7"])
    train = found.profile.train
    assert (train.warmup_ratio, train.epochs, train.seed, train.save_every) == (0.03, 5, 6, 7)
    assert str(found.origins["train.warmup_ratio"]) == "default"
    assert str(found.origins["train.epochs"]) == "parent base.toml:2"
    assert str(found.origins["train.seed"]) == "file mine.toml:4"
    assert str(found.origins["train.save_every"]) == "flag"
    assert str(found.origins["data.source.0.name"]) == "parent base.toml:7"
    assert found.origins["train.seed"].as_json() == {"layer": "file", "file": "mine.toml", "line": 4}
    assert found.origins["train.epochs"].as_json()["layer"] == "parent"
    assert found.origins["train.save_every"].as_json() == {"layer": "flag", "file": None, "line": None}


def test_every_value_of_the_tree_has_an_origin(write: Write) -> None:
    write("mine", SOURCE)
    found = load_profile("mine")
    assert {"model.name", "train.report_to", "evaluate.metrics", "data.source.0.columns"} <= set(found.origins)
    assert all(origin.layer in ("default", "file") for origin in found.origins.values())


def test_grandparents_and_parents_beside_the_file(write: Write, tmp_path: Path) -> None:
    write("base/one", SOURCE + "[method]\nrank = 2\nalpha = 3\n")
    write("base/two", 'extends = "one.toml"\n[method]\nrank = 4\n')
    path = write("three", 'extends = "base/two"\n')
    (tmp_path / "elsewhere.toml").write_text(f'extends = "{path}"\n')
    method = load_profile(str(tmp_path / "elsewhere.toml")).profile.method
    assert (method.rank, method.alpha) == (4, 3)


def test_an_array_is_replaced_with_its_origins(write: Write) -> None:
    write("base", '[[data.source]]\nname = "one"\ntrain = 3\n[[data.source]]\nname = "two"\n')
    write("mine", 'extends = "base"\n[[data.source]]\nname = "other"\n')
    found = load_profile("mine")
    assert [(s.name, s.train) for s in found.profile.data.source] == [("other", 0)]
    assert str(found.origins["data.source.0.name"]) == "file mine.toml:3"
    assert str(found.origins["data.source.0.train"]) == "default"
    assert "data.source.1.name" not in found.origins


def test_a_flag_replaces_the_origins_below_it(write: Write) -> None:
    write("mine", '[[data.source]]\nname = "one"\ntrain = 3\n')
    found = load_profile("mine", ['data.source=[{name = "a"}, {name = "b"}]'])
    assert [(s.name, s.train) for s in found.profile.data.source] == [("a", 0), ("b", 0)]
    assert found.origins["data.source.0.name"].layer == "flag"
    assert found.origins["data.source.0.train"].layer == "default"


@pytest.mark.parametrize(
    ("files", "asked", "circle"),
    [
        ({"a": "a"}, "a", "a.toml -> a.toml"),
        ({"a": "b", "b": "a"}, "a", "a.toml -> b.toml -> a.toml"),
        ({"a": "b", "b": "c", "c": "b"}, "a", "b.toml -> c.toml -> b.toml"),
    ],
)
def test_a_circle_is_refused(write: Write, files: dict[str, str], asked: str, circle: str) -> None:
    for name, parent in files.items():
        write(name, f'extends = "{parent}"\n{SOURCE}')
    with pytest.raises(ProfileError, match="extends itself") as caught:
        load_profile(asked)
    assert circle in str(caught.value)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ('extends = "gone"\n', NotFoundError, "no profile 'gone'"),
        ('extends = "gone.toml"\n', NotFoundError, r"no profile file .*gone\.toml"),
        ('extends = ["a"]\n', ProfileError, r"extends in mine\.toml is no name"),
        ("[train\n", ProfileError, r"mine\.toml is no valid TOML: .*line 1"),
    ],
)
def test_what_cannot_be_read(write: Write, text: str, error: type[Exception], message: str) -> None:
    write("mine", text)
    with pytest.raises(error, match=message):
        load_profile("mine")


def test_other_encodings_are_refused(write: Write) -> None:
    write("mine", "").write_bytes('description = "é"'.encode("latin-1"))
    with pytest.raises(ProfileError, match="not UTF-8"):
        load_profile("mine")


def test_an_unknown_profile_names_the_closest(write: Write) -> None:
    write("my-study-of-ranks", SOURCE)
    with pytest.raises(NotFoundError, match="Did you mean 'my-study-of-ranks'") as caught:
        find_profile("my-study-of-rank")
    assert caught.value.exit_code == 3


def test_lists_leave_out_parents_and_studies_and_the_first_hit_wins(write: Write) -> None:
    mine = write("demo-lora", SOURCE)
    for name in ("base/x", "studies/x", "presets/x", "sub/x"):
        write(name, SOURCE)
    found = dict(list_profiles())
    assert found["demo-lora"] == mine
    assert {"sub/x", "demo-qlora"} <= found.keys()
    assert not any(name.endswith("/x") for name in found if name != "sub/x")


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("train.epochs=2", "train.epochs", 2),
        (" train.epochs = 2.5 ", "train.epochs", 2.5),
        ("model.double_quant=true", "model.double_quant", True),
        ("method.kind=qlora", "method.kind", "qlora"),
        ('method.kind="qlora"', "method.kind", "qlora"),
        ("model.name=org/name", "model.name", "org/name"),
        ("data.system_prompt=a = b", "data.system_prompt", "a = b"),
        ("data.system_prompt=", "data.system_prompt", ""),
        ('evaluate.metrics=["bleu", "rouge"]', "evaluate.metrics", ["bleu", "rouge"]),
        ("x={a = 1}", "x", {"a": 1}),
        ("launch.slurm.time=04:00:00", "launch.slurm.time", "04:00:00"),
        ("launch.slurm.time=2026-11-22", "launch.slurm.time", "2026-11-22"),
    ],
)
def test_assignments_are_toml_or_else_strings(text: str, key: str, value: object) -> None:
    assert parse_assignment(text) == (key, value)


@pytest.mark.parametrize("text", ["train.epochs", "=2", " = 2", ""])
def test_what_is_no_assignment_is_refused(text: str) -> None:
    with pytest.raises(ProfileError, match="key=value"):
        parse_assignment(text)


def test_flags_reach_into_arrays_by_index() -> None:
    tree = {"data": {"source": [{"name": "one"}, {"name": "two", "train": 2}]}}
    found = resolve("x", tree, {}, ["data.source.1.train=9", "data.source.0.name=zero"])
    assert [(s.name, s.train) for s in found.profile.data.source] == [("zero", 0), ("two", 9)]
    assert found.origins["data.source.1.train"].layer == "flag"
    assert tree["data"]["source"][1]["train"] == 2


def test_the_last_flag_wins_and_list_items_can_be_set() -> None:
    sets = ["train.seed=1", "train.seed=2", 'method.target_modules=["q_proj", "v_proj"]', "method.target_modules.1=x"]
    found = resolve("x", TREE, {}, sets).profile
    assert found.train.seed == 2
    assert found.method.target_modules == ["q_proj", "x"]


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("data.source.1.train", "there is no item '1' among 1"),
        ("data.source.first.train", "there is no item 'first'"),
        ("data.source.-1", "there is no item '-1'"),
        ("train.seed.x", "goes through 'seed', which is a value"),
        ("method.target_modules.0.x", "goes through '0', which is a value"),
    ],
)
def test_flags_that_lead_nowhere_are_refused(key: str, message: str) -> None:
    tree = {**TREE, "train": {"seed": 1}, "method": {"target_modules": ["q_proj"]}}
    with pytest.raises(ProfileError, match=message):
        resolve("x", tree, {}, [f"{key}=1"])


def test_tables_merge_and_arrays_do_not() -> None:
    base = {"a": {"x": 1, "y": [1, 2]}, "b": 1}
    assert merge(base, {"a": {"y": [3]}, "b": {"z": 1}}) == {"a": {"x": 1, "y": [3]}, "b": {"z": 1}}
    assert base == {"a": {"x": 1, "y": [1, 2]}, "b": 1}


def test_the_hash_says_what_is_run_not_what_it_is_called() -> None:
    plain = resolve("one", TREE, {})
    assert resolve("two", TREE, {}, ["description=other"]).hash == plain.hash
    assert resolve("one", TREE, {}, ["train.seed=42"]).hash == plain.hash
    assert resolve("one", TREE, {}, ["train.seed=43"]).hash != plain.hash
    there = ["launch.kind=slurm", "launch.slurm.time=04:00:00"]
    assert resolve("one", TREE, {}, there).hash == plain.hash
    assert resolve("one", TREE, {}, ["launch.gpus=0"]).hash != plain.hash


@pytest.mark.parametrize(
    "sets",
    [
        (),
        ("description=quotes \" and ' and \\ and é", 'data.system_prompt="""two\nlines"""'),
        (
            'data.source=[{name = "a", columns = {output = "answer"}, train = 3}, {name = "b", test = 4}]',
            "data.seed=7",
            'data.clean=["dedupe"]',
            'method.target_modules=["q_proj", "v_proj"]',
            "train.learning_rate=1e-05",
        ),
    ],
)
def test_a_dumped_profile_reads_back_the_same(write: Write, sets: tuple[str, ...]) -> None:
    found = resolve("x", TREE, {}, sets)
    text = to_toml(found.profile)
    assert Profile.model_validate(tomli.loads(text)) == found.profile
    write("again", text)
    assert load_profile("again").hash == found.hash


def test_packed_profiles_load(write: Write) -> None:
    names = [name for name, _ in list_profiles()]
    assert {"demo-baseline", "demo-lora", "demo-qlora"} <= set(names)
    hashes = {load_profile(name).hash for name in names}
    assert len(hashes) == len(names)

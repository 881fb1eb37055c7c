"""What was meant by a key that does not exist, by a text where a list is due, and by a study's or a profile's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lab.errors import NotFoundError, ProfileError
from lab.profile.hints import ALIASES, leaf_keys
from lab.profile.load import find_profile, list_profiles, load_profile
from lab.profile.study import find_study, study_argument

Write = Callable[[str, str], Path]


def refusal(setting: str) -> ProfileError:
    with pytest.raises(ProfileError) as caught:
        load_profile("demo-lora", [setting])
    return caught.value


@pytest.mark.parametrize(
    ("setting", "meant"),
    [
        ("rank=8", "'method.rank'"),
        ("learning_rate=1e-4", "'train.learning_rate'"),
        ("learning-rate=1e-4", "'train.learning_rate'"),
        ("epochs=2", "'train.epochs'"),
        ("seed=1", "'data.seed', 'train.seed' or 'evaluate.seed'"),
        ("kind=lora", "'method.kind' or 'launch.kind'"),
        ("train.rank=8", "'method.rank'"),
        ("data.format=alpaca", "'data.source.0.format'"),
        ("metrics=bleu", "'evaluate.metrics'"),
        ("train.lr=1", "'train.learning_rate'"),
        ("method.r=8", "'method.rank'"),
        ("lora.r=8", "'method.rank'"),
        ("lora_alpha=8", "'method.alpha'"),
        ("train.batch_size=4", "'train.examples_per_step' or 'evaluate.batch_size'"),
        ("per_device_train_batch_size=4", "'train.examples_per_step'"),
        ("num_train_epochs=2", "'train.epochs'"),
        ("max_seq_length=512", "'data.max_length'"),
        ("training.epochs=2", "'train.epochs'"),
        ("rnak=8", "'method.rank'"),
        ("method.rnak=8", "'rank'"),
        ("model=gpt2", "'model.name'"),
        ("method=qlora", "'method.kind'"),
        ("data=rows.jsonl", "'data.source.0.name'"),
    ],
)
def test_a_key_out_of_place_or_of_another_tool_is_found(setting: str, meant: str) -> None:
    assert f" Did you mean {meant}?" in refusal(setting).problem


@pytest.mark.parametrize("setting", ["x=1", "foo.bar.baz=1", "train.zzz=1", "train=2"])
def test_where_nothing_is_near_nothing_is_guessed(setting: str) -> None:
    assert "Did you mean" not in str(refusal(setting))


@pytest.mark.parametrize(
    ("setting", "written"),
    [
        ("evaluate.metrics=bleu", '["bleu"]'),
        ("evaluate.metrics=bleu,rouge", '["bleu", "rouge"]'),
        ("evaluate.metrics=[bleu, rouge]", '["bleu", "rouge"]'),
        ("train.report_to=wandb", '["wandb"]'),
        ("method.target_modules=q_proj,v_proj", '["q_proj", "v_proj"]'),
        ("data.source=my rows.jsonl", '[{name = "my rows.jsonl"}]'),
    ],
)
def test_a_text_where_a_list_is_due_is_shown_as_one(setting: str, written: str) -> None:
    error = refusal(setting)
    assert "Did you mean" not in error.problem
    key = setting.partition("=")[0]
    assert error.remedy == f"Write it as a list: {written} in the profile, or --set {key}='{written}'."
    try:
        load_profile("demo-lora", [f"{key}={written}"])
    except ProfileError as again:
        pytest.fail(str(again))


def test_aliases_lead_to_keys_that_exist_and_are_none_themselves() -> None:
    assert set(ALIASES) <= set(leaf_keys())
    names = [name for names in ALIASES.values() for name in names.split()]
    assert len(names) == len(set(names))
    shadowed = {name for name in names if name in {key.rpartition(".")[2] for key in leaf_keys()}}
    assert shadowed == {"batch_size"}, "both are named"


def test_a_study_is_no_profile_and_a_profile_no_study(write: Write) -> None:
    path = write("studies/mine", '[study]\nprofile = "demo-lora"\nbaseline = true\n')
    for find, name, remedy in (
        (find_profile, "mine", "It is a study: `lab study run mine`."),
        (find_study, "demo-lora", "It is a profile: `lab train demo-lora`."),
        (find_study, "base/demo", "It is a profile: `lab train base/demo`."),
        (find_study, "mine-small", "It is a study at another scale: give `mine --scale small`."),
    ):
        with pytest.raises(NotFoundError) as caught:
            find(name)
        assert caught.value.remedy == remedy
    with pytest.raises(ProfileError, match=r"mine\.toml is a study and no profile\. Run it: `lab study run "):
        load_profile(str(path))


@pytest.mark.parametrize(
    ("label", "argument"),
    [
        ("demo", "demo"),
        ("demo-small", "demo --scale small"),
        ("s6", "PATH/s6.toml"),
        ("s6-small", "PATH/s6.toml --scale small"),
        ("own-small", "own-small"),
    ],
)
def test_a_label_of_runs_as_a_command_names_its_study(write: Write, label: str, argument: str) -> None:
    write("studies/own-small", '[study]\nprofile = "demo-lora"\nbaseline = true\n')
    assert study_argument(label) == argument


def test_parents_are_listed_where_they_are_asked_for(write: Write) -> None:
    write("base/x", "")
    assert "base/x" not in dict(list_profiles())
    every = dict(list_profiles(parents=True))
    assert {"base/x", "base/demo", "demo-lora"} <= every.keys()
    assert not any(name.startswith(("studies/", "presets/")) for name in every)
    with pytest.raises(NotFoundError, match="Did you mean 'base/finetome'"):
        find_profile("finetome")

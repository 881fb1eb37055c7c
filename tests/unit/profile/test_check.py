"""What a profile may not say, and how it is told so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.errors import ProfileError
from lab.profile.check import validate
from lab.profile.load import load_profile

Write = Callable[[str, str], Path]


def tree(**sections: Any) -> dict[str, Any]:
    return {"data": {"source": [{"name": "bundled:helpdesk"}]}, **sections}


def refusal(wrong: dict[str, Any]) -> str:
    with pytest.raises(ProfileError) as caught:
        validate(wrong, {})
    assert caught.value.exit_code == 2
    return str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "key", "hint"),
    [
        (tree(trian={}), "trian", "train"),
        (tree(train={"lerning_rate": 1e-3}), "train.lerning_rate", "learning_rate"),
        (tree(method={"alfa": 3}), "method.alfa", "alpha"),
        ({"data": {"source": [{"name": "x", "nmae": "y"}]}}, "data.source.0.nmae", "name"),
        (tree(evaluate={"task": [{"name": "x", "row": 1}]}), "evaluate.task.0.row", "rows"),
    ],
)
def test_an_unknown_key_names_the_closest(wrong: dict[str, Any], key: str, hint: str) -> None:
    message = refusal(wrong)
    assert f"{key} is not a key" in message
    assert f"Did you mean '{hint}'?" in message
    assert "known keys there: " in message


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("train", "seed", "1"),
        ("train", "seed", 1.5),
        ("train", "seed", True),
        ("train", "epochs", "many"),
        ("model", "double_quant", 1),
        ("model", "name", 3),
        ("evaluate", "metrics", "bleu"),
        ("method", "target_modules", 3),
        ("model", "revision", None),
    ],
)
def test_a_wrong_type_is_refused_not_converted(section: str, key: str, value: object) -> None:
    message = refusal(tree(**{section: {key: value}}))
    assert f"{section}.{key} = {value!r} should" in message
    assert f"--set {section}.{key}=" in message


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("method", "rank", 0),
        ("method", "rank", 5000),
        ("method", "dropout", 1.0),
        ("method", "dropout", -0.1),
        ("train", "learning_rate", 0.0),
        ("train", "learning_rate", 2.0),
        ("train", "learning_rate", float("nan")),
        ("train", "epochs", 0.0),
        ("train", "examples_per_step", 0),
        ("train", "micro_batch", -1),
        ("train", "checkpointing", "every-0"),
        ("evaluate", "top_p", 0.0),
        ("evaluate", "temperature", -1.0),
        ("model", "name", ""),
        ("method", "target_modules", []),
        ("method", "target_modules", "everything"),
    ],
)
def test_a_value_out_of_range_is_refused(section: str, key: str, value: object) -> None:
    message = refusal(tree(**{section: {key: value}}))
    assert message.startswith(f"{section}.{key} = {value!r} ")
    assert " should " in message


def test_a_misspelt_choice_names_the_closest() -> None:
    message = refusal(tree(method={"kind": "qlroa"}))
    assert "method.kind = 'qlroa' should be" in message
    assert "Did you mean 'qlora'?" in message


@pytest.mark.parametrize(
    ("wrong", "key", "hint"),
    [
        (tree(evaluate={"metrics": ["bleu", "rogue"]}), "evaluate.metrics.1 = 'rogue'", "rouge"),
        (tree(train={"report_to": ["wandd"]}), "train.report_to.0 = 'wandd'", "wandb"),
        ({"data": {"clean": ["meta-instruction"]}}, "data.clean.0 = 'meta-instruction'", "meta-instructions"),
    ],
)
def test_a_misspelt_item_of_a_list_names_the_closest(wrong: dict[str, Any], key: str, hint: str) -> None:
    message = refusal(wrong)
    assert f"{key} should be" in message
    assert f"Did you mean '{hint}'?" in message


@pytest.mark.parametrize("wrong", [tree(method={"target_modules": [3]}), tree(data=[]), tree(launch={"gpus": "x"})])
def test_where_there_are_no_choices_none_is_guessed(wrong: dict[str, Any]) -> None:
    assert "Did you mean" not in refusal(wrong)


def test_missing_names_and_missing_data() -> None:
    assert refusal({"data": {"source": [{"train": 3}]}}).startswith("data.source.0.name is missing.")
    assert refusal({}).startswith("The profile names no data.")
    assert "[[data.source]]" in refusal({"data": {"source": []}})


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[train]\nseed = 1\nlerning_rate = 1\n", "mine.toml:3"),
        ('[train]\nseed = "x"\n', "mine.toml:2"),
        ('[[data.source]]\nname = "a"\n[[data.source]]\nname = "b"\ntrain = -1\n', "mine.toml:5"),
        ('[method]\ntarget_modules = [\n  "q_proj",\n  3,\n]\n', "mine.toml:2"),
    ],
)
def test_the_message_names_file_and_line(write: Write, text: str, place: str) -> None:
    write("mine", text)
    with pytest.raises(ProfileError, match=place):
        load_profile("mine")


def test_a_wrong_flag_names_no_file(write: Write) -> None:
    write("mine", '[train]\nseed = 1\n[[data.source]]\nname = "a"\n')
    with pytest.raises(ProfileError) as caught:
        load_profile("mine", ["train.seed=x"])
    assert "mine.toml" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        tree(**{"\x1b[31mkey": 1}),
        tree(train={"seed\x9b1m\u202e": 1}),
        tree(train={"seed": "\x1b]0;title\x07"}),
        tree(method={"target_modules": "\x1b[2J" + "x" * 5000}),
    ],
)
def test_messages_hold_nothing_that_commands_a_terminal(wrong: dict[str, Any]) -> None:
    message = refusal(wrong)
    assert message.isprintable(), ascii(message)
    assert len(message) < 500


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("partition", "a b", "launch.slurm.partition = 'a b' should match"),
        ("partition", "a\n", "launch.slurm.partition"),
        ("time", "4h", "launch.slurm.time = '4h' should match"),
        ("time", True, "launch.slurm.time = True should be a valid string"),
        ("memory", "32GB", "launch.slurm.memory = '32GB' should match"),
        ("cpus", -1, "launch.slurm.cpus = -1 should be greater"),
        ("options", ["constraint=h100"], "launch.slurm.options.0 = 'constraint=h100' should match"),
        ("options", ["--array=1-4"], "should leave --array to the lab"),
        ("options", ["-J", "x"], "launch.slurm.options"),
        ("options", ["-o/dev/null", "-J"], "should leave -J to the lab"),
        ("options", "--mem=1G", "launch.slurm.options = '--mem=1G'"),
        ("tasks", 2, "launch.slurm.tasks is not a key"),
    ],
)
def test_what_slurm_cannot_be_asked(key: str, value: object, words: str) -> None:
    assert words in refusal(tree(launch={"slurm": {key: value}}))


@pytest.mark.parametrize(("key", "value", "read"), [("time", 90, "90"), ("memory", 4096, "4096"), ("cpus", 8, 8)])
def test_numbers_that_slurm_reads_as_minutes_and_megabytes(key: str, value: int, read: object) -> None:
    profile = validate(tree(launch={"slurm": {key: value}}), {})
    assert getattr(profile.launch.slurm, key) == read

"""What a command line trains: profiles, or what model, data and method make without one."""

from __future__ import annotations

import pytest

from lab.cli.chosen import chosen, say_unasked, say_untested
from lab.errors import UsageError


@pytest.mark.parametrize(
    ("model", "data", "method", "name", "kind"),
    [
        ("owner/model", "owner/alpaca", "qlora", "alpaca-qlora", "qlora"),
        ("owner/model", "folder/rows.jsonl", "", "rows-lora", "lora"),
        ("", "bundled:helpdesk", "full", "helpdesk-full", "full"),
    ],
)
def test_without_a_profile(model: str, data: str, method: str, name: str, kind: str) -> None:
    (made,) = chosen([], ["train.epochs=2"], model, data, method)
    profile = made.profile
    assert (made.name, profile.method.kind, profile.train.epochs) == (name, kind, 2)
    assert [source.name for source in profile.data.source] == [data]
    assert not model or profile.model.name == model


def test_flags_change_profiles_and_assignments_win() -> None:
    (made,) = chosen(["demo-lora"], ["method.kind='full'"], "", "bundled:helpdesk", "qlora")
    assert (made.name, made.profile.method.kind) == ("demo-lora", "full")


def test_nothing_to_train_on() -> None:
    with pytest.raises(UsageError, match="nothing to train on"):
        chosen([], [], "owner/model", "", "lora")


@pytest.mark.parametrize(
    ("sets", "told"),
    [
        ([], True),
        (["data.source.0.validation=20"], True),
        (["data.source.0.test=20"], False),
        (['evaluate.task=[{name="general-prompts"}]'], False),
    ],
)
def test_nothing_held_out_is_told_before_it_is_too_late(
    sets: list[str], told: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    say_untested(chosen([], sets, "owner/model", "rows.jsonl", "lora"))
    said = capsys.readouterr().err
    assert said.startswith("rows-lora holds no rows out") is told
    assert bool(said) is told


@pytest.mark.parametrize(
    ("sets", "told"),
    [
        ([], False),
        (["launch.slurm.partition=gpu"], True),
        (["launch.slurm.partition=gpu", "launch.kind=slurm"], False),
    ],
)
def test_what_slurm_is_not_asked_for_is_told(sets: list[str], told: bool, capsys: pytest.CaptureFixture[str]) -> None:
    say_unasked(chosen([], sets, "owner/model", "rows.jsonl", "lora"))
    said = capsys.readouterr().err
    assert said == (
        "rows-lora has a [launch.slurm] table and runs on this machine. Submit it: --set launch.kind=slurm.\n"
        if told
        else ""
    )

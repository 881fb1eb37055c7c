"""Trackers that are not installed, and keys that need validation, are refused before anything runs."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from lab.errors import ProfileError
from lab.profile.load import resolve
from lab.profile.schema import Profile
from lab.profile.trackers import refuse_missing_trackers


def profile(*sets: str, validation: int = 4) -> Profile:
    return resolve("some", {"data": {"source": [{"name": "rows.jsonl", "validation": validation}]}}, {}, sets).profile


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "trackio"])
def test_a_missing_tracker_is_refused_with_the_command(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    there: dict[str, Any] = {"tensorboard", "wandb", "trackio"} - {name}  # type: ignore[assignment]
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: package in there or None)
    with pytest.raises(ProfileError, match=f"{name}, which is not installed") as caught:
        refuse_missing_trackers(profile('train.report_to=["tensorboard", "wandb", "trackio"]'))
    assert f"pip install {name}" in caught.value.remedy
    refuse_missing_trackers(profile(f"train.report_to={sorted(there)!r}".replace("'", '"')))
    refuse_missing_trackers(profile())


@pytest.mark.parametrize("assignment", ["train.keep=best", "train.early_stopping_patience=2"])
def test_without_validation_losses_there_is_no_best(assignment: str) -> None:
    key = assignment.partition("=")[0]
    with pytest.raises(ProfileError, match=rf"{key} needs validation losses, and train\.eval_every is 0"):
        profile(assignment, "train.eval_every=0")
    with pytest.raises(ProfileError, match="no source has validation rows"):
        profile(assignment, validation=0)
    assert profile(assignment)
    assert profile(assignment, "method.kind=baseline", validation=0), "it trains nothing"

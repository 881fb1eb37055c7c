"""The assistant's presets: every one that ships, and those that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import LabError, NotFoundError, ProfileError, UsageError
from lab.profile.presets import Preset, check_sampling, fill, list_presets, load_preset
from lab.profile.sampling import Sampling

CAPS = {
    "study-chat": 512,
    "feedback": 700,
    "quiz": 800,
    "cheat-sheet": 900,
    "study-plan": 900,
    "mixed-drill": 900,
}


def test_the_six_tools_are_there_with_their_caps() -> None:
    assert {name: load_preset(name).sampling.max_new_tokens for name, _ in list_presets()} == CAPS


@pytest.mark.parametrize("name", CAPS)
def test_each_draws_as_the_assistant_does_and_can_be_filled_in(name: str) -> None:
    preset = load_preset(name)
    drawn = preset.sampling
    assert (drawn.temperature, drawn.top_p, drawn.repetition_penalty) == (0.3, 0.9, 1.15)
    question = fill(preset, {blank.name: blank.choices[0] if blank.choices else "Newton" for blank in preset.field})
    assert "{" not in question


def quiz(**values: str) -> str:
    return fill(load_preset("quiz"), values)


def test_defaults_stand_in_for_what_is_not_said() -> None:
    assert quiz(topic="optics") == "Write 5 multiple-choice questions on this topic: optics. Level: introductory."
    assert "{level}" in quiz(topic="{level}"), "a value is never filled in again"


@pytest.mark.parametrize(
    ("values", "words"),
    [({}, "topic is empty"), ({"topic": "a", "kind": "essay"}, "none of its choices"), ({"topc": "a"}, "topic")],
)
def test_wrong_fields(values: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        quiz(**values)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('title = "a"\nprompt = "{topic}"', "differ in topic"),
        ('title = "a"\ncolour = 1', "colour"),
        ("system = 'x'", "title"),
    ],
)
def test_wrong_files(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ProfileError, match=words):
        load_preset(str(path))


def test_a_name_that_is_none() -> None:
    with pytest.raises(NotFoundError, match="quiz"):
        load_preset("quizz")


def test_sampling_is_checked_by_name() -> None:
    assert check_sampling({"temperature": 0.0}, Sampling(seed=7)) == Sampling(temperature=0.0, seed=7)
    with pytest.raises(LabError, match="top_p"):
        check_sampling({"top_p": 2.0})
    with pytest.raises(LabError, match="heat"):
        check_sampling({"heat": 2.0})


def test_an_open_conversation_has_no_question() -> None:
    assert fill(Preset(title="Chat"), {}) == ""

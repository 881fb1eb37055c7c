"""What the leader of a team hears of a member's death, and that nobody is left behind. No process here trains."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from lab.errors import TrainingError
from lab.modeling.hardware import Hardware
from lab.modeling.source import ModelSource
from lab.profile.schema import Profile
from lab.runs.paths import RunPaths
from lab.training import team
from lab.training.recipe import decide
from lab.training.team import Material, Team, load_material

DIES, LIVES = "raise SystemExit(3)", "import time; time.sleep(600)"
MATERIAL = Material(ModelSource("path", "m", None, None, "m"), [], [])


def nobody(error: TrainingError) -> None:
    raise AssertionError(error)


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(team, "POLL_SECONDS", 0.01)
    return monkeypatch


def test_members_get_what_they_train_with_and_are_gone_at_the_end(fast: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fast.setattr(team, "COMMAND", ("-c", LIVES))
    fast.setattr(team, "GRACE_SECONDS", 0.0)
    with Team(RunPaths(tmp_path), ["", ""], MATERIAL, nobody) as members:
        meeting = members.meeting
        assert load_material(meeting) == MATERIAL
        assert members.size == 3
        started = list(members._members)
        members.check()
    assert all(process.returncode is not None for process in started)
    assert not meeting.exists()


def test_an_error_that_a_death_lies_behind_names_the_death(fast: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fast.setattr(team, "COMMAND", ("-c", DIES))
    with (
        pytest.raises(TrainingError, match=r"Process 2 of the 2 .* has died: it ended with status 3"),
        Team(RunPaths(tmp_path / "r"), [""], MATERIAL, nobody),
    ):
        raise RuntimeError("Connection closed by peer")


def test_a_reason_that_a_member_left_is_told(fast: pytest.MonkeyPatch, tmp_path: Path) -> None:
    record = '{"text": "Memory ran out.", "memory": true}'
    told = f"import sys, pathlib; pathlib.Path(sys.argv[2], 'failed-1.json').write_text('{record}'); sys.exit(1)"
    fast.setattr(team, "COMMAND", ("-c", told))
    recipe = decide(Profile(), Hardware("cpu", "a CPU", False, 8_000_000_000, 1), [10], sharable=True)

    def lead() -> None:
        with Team(RunPaths(tmp_path / "r"), [""], MATERIAL, nobody) as members:
            members.begin(recipe, lambda: "The next attempt takes less.")
            members.complete()
            assert [path.name for path in members.meeting.iterdir() if "pickle" in path.name] == []
            raise RuntimeError

    with pytest.raises(TrainingError, match="has died: Memory ran out") as caught:
        lead()
    assert caught.value.remedy == "The next attempt takes less."


def test_a_leader_that_feels_nothing_is_ended_from_outside(fast: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fast.setattr(team, "COMMAND", ("-c", DIES))
    fast.setattr(team, "STUCK_SECONDS", 0.05)
    heard, told = threading.Event(), list[TrainingError]()

    def stuck(error: TrainingError) -> None:
        told.append(error)
        heard.set()

    with Team(RunPaths(tmp_path / "r"), [""], MATERIAL, stuck):
        assert heard.wait(60)
    assert "it ended with status 3" in told[0].problem
    assert "`lab runs resume r`" in told[0].remedy


def test_an_error_of_the_leader_stays_its_own(fast: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fast.setattr(team, "COMMAND", ("-c", LIVES))
    with (
        pytest.raises(TrainingError, match="no number"),
        Team(RunPaths(tmp_path / "r"), [""], MATERIAL, nobody),
    ):
        raise TrainingError("The loss became no number.", "Lower the rate.")

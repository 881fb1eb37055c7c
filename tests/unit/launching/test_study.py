"""Starting what a study lacks, with workers that have no model."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from lab.errors import NotFoundError
from lab.launching import study as studies
from lab.launching.devices import PLACE, Device, take_place, wait_for_device
from lab.launching.hostlocks import Place
from lab.launching.local import start
from lab.launching.resume import resume
from lab.launching.stop import ask
from lab.launching.study import done_rows, retry_failed, start_missing
from lab.profile.study import Study, load_study
from lab.runs.reader import read_json
from lab.runs.store import RunInfo, list_runs, read_run
from tests.fixtures import fake_worker
from tests.fixtures.tiny_runs import wait_ended, wait_until

STUDY = """[study]
profile = "plain"
[[study.row]]
name = "one"
[[study.row]]
name = "two"
set = {method.rank = 4}
[[study.row]]
name = "chain"
stages = [{}, {set = {model.adapter = "previous"}}]
"""
FAKE = (str(Path(fake_worker.__file__)),)
NAMES = ["one", "two", "chain, stage 1", "chain, stage 2"]


@pytest.fixture(autouse=True)
def _places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LAB_PROFILES", "")
    monkeypatch.setenv("LAB_DEVICE_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setenv("PYTHONPATH", str(Path(fake_worker.__file__).parents[2]))
    monkeypatch.setattr(studies, "start", partial(start, command=FAKE))
    monkeypatch.setattr(studies, "resume", partial(resume, command=FAKE))
    (tmp_path / "profiles/studies").mkdir(parents=True)
    (tmp_path / "profiles/plain.toml").write_text('launch.gpus = 0\n[[data.source]]\nname = "bundled:helpdesk"\n')
    (tmp_path / "profiles/studies/s.toml").write_text(STUDY)


def ended(infos: list[RunInfo]) -> list[RunInfo]:
    for info in infos:
        wait_ended(info.run)
    return [found for info in infos if (found := read_run(info.run)) is not None]


def begun(study: Study, *, fresh: bool = False) -> tuple[list[RunInfo], list[str]]:
    lines: list[str] = []
    return start_missing(study, fresh=fresh, say=lines.append), lines


def test_rows_are_started_once_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_WORKER", "quick")
    study = load_study("s")
    infos, lines = begun(study)
    assert [info.labels.row for info in infos] == NAMES
    assert [line.split(": ")[0] for line in lines] == NAMES
    assert {info.state for info in ended(infos)} == {"completed"}
    stage = (read_json(infos[3].run.origin) or {})["values"]["model.adapter"]["value"]
    assert stage == f"run:{infos[2].id}", "the stage before by its id, not by its place"
    assert {name: info.id for name, info in done_rows(study).items()} == {i.labels.row: i.id for i in infos}
    again, lines = begun(study)
    assert (again, len(list_runs())) == ([], 4)
    assert lines == [f"{info.labels.row}: done already ({info.id})" for info in infos]
    fresh, _ = begun(study, fresh=True)
    assert [info.labels.row for info in ended(fresh)] == NAMES
    assert not {info.id for info in fresh} & {info.id for info in infos}
    assert done_rows(study)["chain, stage 2"].id == fresh[3].id, "on the newest first stage"


def test_rows_under_way_are_left_and_broken_ones_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_WORKER", "")
    study = load_study("s")
    infos, _ = begun(study)
    wait_until(lambda: all((i := read_run(info.run)) is not None and i.state == "training" for info in infos))
    ask(infos[1].run, "a test")
    wait_ended(infos[1].run)
    again, lines = begun(study)
    assert [info.id for info in again] == [info.id for info in infos]
    assert lines[0] == f"one: {infos[0].id} is under way"
    assert lines[1] == f"two: {infos[1].id}, attempt 2 starts over from step 0: no complete checkpoint is there"
    for info in infos:
        ask(info.run, "a test")
    assert {info.state for info in ended(again)} == {"stopped"}


def test_what_failed_is_tried_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_WORKER", "quick,broken")
    infos = ended(begun(load_study("s"))[0])
    assert {info.state for info in infos} == {"failed"}
    lines: list[str] = []
    monkeypatch.setenv("FAKE_WORKER", "quick")
    again = retry_failed(infos, lines.append)
    assert lines[0] == f"one: {infos[0].id} failed: as the test wants it. Trying once more."
    assert {info.state for info in ended(again)} == {"completed"}
    assert retry_failed(ended(again), lines.append) == []


def test_nothing_is_started_where_a_check_fails(tmp_path: Path) -> None:
    (tmp_path / "profiles/studies/t.toml").write_text(STUDY + 'set = {model.name = "./nowhere"}\n')
    with pytest.raises(NotFoundError, match=r"model folder './nowhere' does not exist"):
        start_missing(load_study("t"))
    assert list_runs() == []


def test_the_device_goes_to_runs_in_the_order_of_their_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second run's worker asks first, and still waits: a place was taken for the first one before."""
    first, second = take_place("first", 0), take_place("second", 0)
    said: list[str] = []

    def ask_as(place: Place, patience: int) -> Device | None:
        monkeypatch.setenv(PLACE, f"{os.dup(place.handle)}:{place.path.name}")
        polls = iter(range(patience))
        return wait_for_device(
            place.ticket.run, 0, waiting=said.append, should_stop=lambda: next(polls, None) is None, poll=0
        )

    assert ask_as(second, 1) is None
    assert said == ["waiting for the CPU behind first"]
    assert PLACE not in os.environ, "a child of the worker must not take it for its own"
    device = ask_as(first, 1)
    assert device is not None
    device.release()
    for place in (first, second):
        os.close(place.handle)


def test_a_place_of_a_dead_starter_counts_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    place = take_place("gone", 0)
    place.leave()
    monkeypatch.setenv(PLACE, f"{os.open(os.devnull, os.O_RDONLY)}:{place.path.name}")
    device = wait_for_device("other", 0, waiting=lambda line: None, should_stop=lambda: False)
    assert device is not None
    device.release()
